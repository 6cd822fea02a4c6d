"""Environments of the peers and the programs in C, made on first use and kept under .treering/benchmarks."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".treering" / "benchmarks"
HERE = Path(__file__).parent
NATIVE = ROOT / "native" / "treering_native"
ZIG = "ziglang==0.17.0"  # as native/pyproject.toml


def python_with(name: str, requirements: tuple[str, ...]) -> Path:
    """The interpreter of an environment with these packages."""
    digest = hashlib.sha256("\n".join((sys.version, *requirements)).encode()).hexdigest()[:8]
    folder = CACHE / f"{name}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        sys.stderr.write(f"Installing {', '.join(requirements)} …\n")
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, *requirements], check=True, env=_index())
        (folder / "complete").touch()
    return python


def load_generator() -> Path:
    """The program of load.c."""
    return _compiled("load", [HERE / "load.c"], ["-O2"])


def bare_server() -> Path:
    """The library of bare.c, with the project's own C in it."""
    return _compiled("bare.so", [HERE / "bare.c", *sorted(NATIVE.glob("*.c"))], _native_flags())


def native_digest() -> str:
    """Changes with native/, for the name of an environment that holds it."""
    return _digest(file for file in sorted((ROOT / "native").rglob("*")) if file.suffix in (".c", ".h", ".py", ".toml"))


def _digest(files: Iterable[Path]) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:8]


def _native_flags() -> list[str]:
    shared = ["-O3", "-ffp-contract=off", "-fno-tree-vectorize", "-fno-tree-slp-vectorize", "-shared", "-fPIC"]
    return [*shared, f"-I{NATIVE}", "-lm", "-lpthread"]


def _compiled(name: str, sources: list[Path], flags: list[str]) -> Path:
    target = CACHE / f"{_digest(sources)}-{name}"
    if not target.exists():
        compiler = [python_with("zig", (ZIG,)), "-m", "ziglang", "cc", "-mcpu=baseline"]
        subprocess.run([*compiler, *sources, *flags, "-o", target], check=True)
    return target


def _index() -> dict[str, str]:
    """uv asks the registry that pip is set up for."""
    pip = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    index = (
        os.environ.get("UV_DEFAULT_INDEX")
        or subprocess.run(pip, capture_output=True, text=True, check=False).stdout.strip()
    )
    return {**os.environ, **({"UV_DEFAULT_INDEX": index} if index else {})}
