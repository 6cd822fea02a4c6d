"""The servers that are compared: how each is installed, started and asked. All answer with the same forest."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.environments import HERE, ROOT, bare_server, native_digest, python_with
from tests.benchmarks.house_model import as_json
from tests.fuzz.endpoint import PROGRAM

PEERS = HERE / "peers"
# what the project has, so that all compute the same
_FOREST = tuple(f"{name}=={importlib.metadata.version(name)}" for name in ("numpy", "scikit-learn"))
_SAME = (*_FOREST, f"pandas=={importlib.metadata.version('pandas')}")
_ANSWERS = tuple(f"{name}=={importlib.metadata.version(name)}" for name in ("numpy", "pydantic", "httptools"))
_ANSWERS += (str(ROOT / "native"),)
_WORKERS = len(os.sched_getaffinity(0))
_NGINX = """{user}
worker_processes auto; pid {folder}/nginx.pid; error_log {folder}/nginx.log; daemon off;
events {{ worker_connections 2048; }}
http {{
  access_log off; client_body_temp_path {folder}/nginx-body; proxy_temp_path {folder}/nginx-proxy;
  fastcgi_temp_path {folder}/nginx-fastcgi; uwsgi_temp_path {folder}/nginx-uwsgi; scgi_temp_path {folder}/nginx-scgi;
  upstream gunicorn {{ server unix:{folder}/gunicorn.sock; }}
  server {{
    listen 127.0.0.1:{port} deferred; client_max_body_size 7m; keepalive_timeout 65; keepalive_requests 1000000;
    location / {{ proxy_set_header Host $http_host; proxy_pass http://gunicorn; }}
  }}
}}
"""


@dataclass(frozen=True)
class Server:
    """One way to serve. `programs` gives the programs to start for a folder of the model and a port."""

    name: str
    versions: str
    programs: Callable[[Path, int], list[list[str | Path]]]
    path: str = "/invocations"
    content_type: str = "text/csv"
    encode: Callable[[bytes], bytes] = bytes

    def request(self, body: bytes) -> bytes:
        """The whole request for a CSV body."""
        content = self.encode(body)
        head = f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {self.content_type}\r\n"
        return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content

    def predictions(self, answer: bytes) -> list[float]:
        """The predictions of an answer."""
        document = json.loads(answer)
        found = document["predictions"] if isinstance(document, dict) else document
        return [float(value) for value in found]


def treering() -> Server:
    """The project's own serving path, as the image starts it."""
    versions = " ".join(f"{name} {importlib.metadata.version(name)}" for name in ("httptools", "numpy"))
    return Server("treering", versions, lambda folder, _: [[sys.executable, "-c", PROGRAM, folder]])


def bare() -> Server:
    """The project's C with next to nothing around it: the practical limit."""
    library = bare_server()
    return Server(
        "bare C server",
        "the same C, no checks",
        lambda folder, port: [[sys.executable, PEERS / "bare.py", library, folder / "model", str(port), str(_WORKERS)]],
    )


def classic() -> Server:
    """nginx, gunicorn, flask, pandas and a pickled forest. Without nginx where the machine has none."""
    python = python_with("classic", ("flask==3.1.3", "gunicorn==27.0.1", *_SAME))
    user = "user root;" if os.geteuid() == 0 else ""  # else nginx becomes nobody, who may not reach gunicorn
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    gunicorn = [
        python,
        "-m",
        "gunicorn",
        "--workers",
        str(_WORKERS),
        "--timeout",
        "60",
        "--no-control-socket",
        "classic:app",
        "--bind",
    ]

    def programs(folder: Path, port: int) -> list[list[str | Path]]:
        if not nginx:
            return [[*gunicorn, f"127.0.0.1:{port}"]]
        (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port, user=user))
        return [[*gunicorn, f"unix:{folder}/gunicorn.sock"], [nginx, "-c", folder / "nginx.conf"]]

    name = "classic container" if nginx else "classic container without nginx"
    return Server(name, _versions(python, "gunicorn", "flask", "pandas", "scikit-learn"), programs)


def mlflow() -> Server:
    """`mlflow models serve`."""
    python = python_with("mlflow", ("mlflow==3.17.2", *_FOREST))

    def programs(folder: Path, port: int) -> list[list[str | Path]]:
        stored = folder / "mlflow"
        if not stored.exists():
            subprocess.run(
                [python, PEERS / "log_mlflow.py", stored], check=True, env=environ(folder), stdout=sys.stderr
            )
        path = f"PATH={python.parent}:{os.environ['PATH']}"  # it starts uvicorn by its name
        serve = [
            "env",
            path,
            python,
            "-m",
            "mlflow",
            "models",
            "serve",
            "-m",
            stored,
            "-p",
            str(port),
            "-w",
            str(_WORKERS),
        ]
        return [[*serve, "--env-manager", "local"]]

    return Server("mlflow models serve", _versions(python, "mlflow"), programs)


def bentoml() -> Server:
    """BentoML."""
    python = python_with("bentoml", ("bentoml==1.4.36", *_SAME))

    def programs(_: Path, port: int) -> list[list[str | Path]]:
        return [[python, "-m", "bentoml", "serve", "bento:Forest", "--host", "127.0.0.1", "--port", str(port)]]

    return Server("BentoML", _versions(python, "bentoml"), programs, content_type="application/json", encode=as_json)


def uvicorn() -> Server:
    """The project's answers behind uvicorn, with uvloop and httptools."""
    python = python_with(f"uvicorn-{native_digest()}", ("uvicorn==0.54.0", "uvloop==0.23.0", *_ANSWERS))
    command = [python, "-m", "uvicorn", "asgi:app", "--host", "127.0.0.1", "--workers", str(_WORKERS)]
    command += ["--log-level", "warning", "--no-access-log"]
    return Server(
        "Treering's answers behind uvicorn",
        _versions(python, "uvicorn", "uvloop", "httptools"),
        lambda _, port: [[*command, "--port", str(port)]],
    )


def granian() -> Server:
    """The project's answers behind granian, a server in Rust."""
    python = python_with(f"granian-{native_digest()}", ("granian==2.8.7", *_ANSWERS))
    command = [python.parent / "granian", "--interface", "asgi", "asgi:app", "--host", "127.0.0.1"]
    command += ["--workers", str(_WORKERS), "--log-level", "warning", "--no-access-log"]
    return Server(
        "Treering's answers behind granian",
        _versions(python, "granian"),
        lambda _, port: [[*command, "--port", str(port)]],
    )


SERVERS = {
    "treering": treering,
    "classic": classic,
    "bare": bare,
    "uvicorn": uvicorn,
    "granian": granian,
    "mlflow": mlflow,
    "bentoml": bentoml,
}


def environ(folder: Path, port: int = 0) -> dict[str, str]:
    """Environment of all programs."""
    return {
        **os.environ,
        "MODEL": str(folder),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "PYTHONPATH": f"{ROOT}:{PEERS}",
        "BENTOML_DO_NOT_TRACK": "true",
        "BENTOML_HOME": str(folder / "bento"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def _versions(python: Path, *packages: str) -> str:
    code = "import importlib.metadata as m, sys; print(*(f'{n} {m.version(n)}' for n in sys.argv[1:]))"
    return subprocess.run([python, "-c", code, *packages], check=True, capture_output=True, text=True).stdout.strip()
