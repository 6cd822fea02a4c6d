"""Dockerfiles and the images made of them, without a container engine."""

import importlib.metadata
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from local_cloud.images import ImageError, ImageNotFoundError, ImageRegistry, ImageSpec
from local_cloud.images.errors import DockerfileError
from local_cloud.sandbox import spawn

LAMBDA = "public.ecr.aws/lambda/python:3.12"
SLIM = "public.ecr.aws/docker/library/python:3.12-slim"
IDNA = importlib.metadata.version("idna")

Build = Callable[..., ImageSpec]


@pytest.fixture
def registry(tmp_path: Path) -> ImageRegistry:
    """An empty registry."""
    return ImageRegistry(tmp_path / "state")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """An empty build context."""
    folder = tmp_path / "context"
    folder.mkdir()
    return folder


@pytest.fixture
def build(registry: ImageRegistry, context: Path) -> Build:
    """Build an image from the text of a Dockerfile and the files of its context, by path."""

    def make(dockerfile: str, files: Mapping[str, str] | None = None, **build_args: str) -> ImageSpec:
        (context / "Dockerfile").write_text(dockerfile)
        for path, text in (files or {}).items():
            (context / path).parent.mkdir(parents=True, exist_ok=True)
            (context / path).write_text(text)
        return registry.build("app", dockerfile=context / "Dockerfile", context=context, build_args=build_args)

    return make


def files_of(image: ImageSpec) -> dict[str, str]:
    """The copied files of an image by their path in it, without its Python."""
    found = {}
    for mount in image.mounts:
        if (mount.source / "pyvenv.cfg").exists():
            continue
        if mount.source.is_file():
            found[mount.target] = mount.source.read_text()
            continue
        for path in mount.source.rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                found[f"{mount.target}/{path.relative_to(mount.source)}"] = path.read_text()
    return found


def run(image: ImageSpec, *argv: str, tmp_path: Path) -> tuple[int, str]:
    """Run a program in an image; returns its exit code and what it wrote."""
    log = tmp_path / "log"
    log.unlink(missing_ok=True)
    program = spawn(
        argv, env=image.env, cwd=image.workdir, mounts=image.mounts, log=log, read_only_root=True, stop_grace_seconds=1
    )
    return program.wait(30), log.read_text()


def test_lambda_base_brings_its_environment(build: Build) -> None:
    """Lambda's base image brings its task root, which variables and relative paths lead to, and its entry point."""
    image = build(f"FROM {LAMBDA}\nCOPY a.py ${{LAMBDA_TASK_ROOT}}/\nCOPY a.py b.py\n", {"a.py": "1"})

    assert files_of(image) == {"/var/task/a.py": "1", "/var/task/b.py": "1"}
    assert (image.workdir, image.env["AWS_EXECUTION_ENV"]) == ("/var/task", "AWS_Lambda_python3.12")
    assert image.entrypoint[-2:] == ("-m", "awslambdaric")


def test_variables_are_expanded_as_docker_does(build: Build) -> None:
    """ARG before FROM is for FROM alone, build arguments win over defaults, ENV wins over ARG, ENV sees the past."""
    image = build(
        "ARG BASE=nothing\nFROM ${BASE} AS final\n"
        "ARG NAME=default\nARG GIVEN=default\nARG BOTH=arg\n"
        'ENV BOTH=env A="${NAME} and $GIVEN" B=${BOTH} C=${MISSING:-else} D=${NAME:+set} E=\\$NAME\n'
        "ENV BOTH=new SEEN=$BOTH PATH=/opt/x:$PATH\n",
        BASE=SLIM,
        GIVEN="given",
    )
    env = image.env

    assert (env["A"], env["B"], env["C"], env["D"], env["E"]) == ("default and given", "arg", "else", "set", "$NAME")
    assert (env["BOTH"], env["SEEN"]) == ("new", "env")
    assert env["PATH"].startswith("/opt/x:/opt/image-python/bin:")


def test_workdir_copy_and_command(build: Build) -> None:
    """WORKDIR may be relative to the last one, COPY takes what is in a folder, ENTRYPOINT and CMD stay as given."""
    image = build(
        f"FROM {SLIM}\nWORKDIR /opt\nWORKDIR program\nCOPY src lib\nCOPY a.txt b.txt ./\n"
        "COPY --chmod=755 a.txt /bin/go\n"
        'EXPOSE 8080\nLABEL who="me too"\nENTRYPOINT ["go", "on"]\nCMD ["serve"]\n',
        {"src/x/y.py": "y", "a.txt": "a", "b.txt": "b"},
    )
    program = next(mount for mount in image.mounts if mount.target == "/bin/go")

    assert files_of(image) == {
        "/opt/program/lib/x/y.py": "y", "/opt/program/a.txt": "a", "/opt/program/b.txt": "b", "/bin/go": "a",
    }  # fmt: skip
    assert program.source.stat().st_mode & 0o777 == 0o755
    assert all(mount.read_only for mount in image.mounts)
    assert (image.workdir, image.entrypoint, image.command) == ("/opt/program", ("go", "on"), ("serve",))
    assert (image.ports, image.labels) == (("8080",), {"who": "me too"})


def test_continued_lines_and_comments(build: Build) -> None:
    """A backslash continues a line; comments and empty lines in between do not end it."""
    image = build(f"# syntax=docker/dockerfile:1\nFROM {SLIM}\nENV A=1 \\\n  # a comment\n\n  B=2\n")

    assert (image.env["A"], image.env["B"]) == ("1", "2")


def test_dockerignore_decides_what_is_copied(build: Build) -> None:
    """The last matching line decides; folders are ignored with what is in them; ** spans folders."""
    ignore = "*\n!app\n**/*.pyc\napp/secret\n!app/secret/keep.txt\n# comment\n"
    files = dict.fromkeys(("app/a.py", "app/a.pyc", "app/x/b.pyc", "app/secret/no", "app/secret/keep.txt", "o.py"), "")
    image = build(f"FROM {SLIM}\nCOPY . /opt/all\n", {".dockerignore": ignore, **files})

    assert set(files_of(image)) == {"/opt/all/app/a.py", "/opt/all/app/secret/keep.txt"}


def test_digest_follows_content(build: Build, context: Path) -> None:
    """The same sources give the same digest, whatever their times; a change of a byte or a permission another one."""
    dockerfile = f"FROM {SLIM}\nCOPY a /opt/a\n"
    first = build(dockerfile, {"a/x": "1"})
    os.utime(context / "a" / "x", (1, 1))
    again = build(dockerfile)
    (context / "a" / "x").chmod(0o755)
    executable = build(dockerfile)
    changed = build(dockerfile, {"a/x": "2"})

    assert first == again
    assert len({first.digest, executable.digest, changed.digest}) == 3
    assert files_of(first) == {"/opt/a/x": "1"}


def test_requirements_are_what_can_be_imported(build: Build, tmp_path: Path) -> None:
    """The image's Python imports what its requirements pin, and nothing else that this machine has."""
    dockerfile = f"FROM {SLIM}\nCOPY r.txt ./\nRUN python3 -m pip install --no-cache-dir -r r.txt\n"
    pins = (
        f"# compiled\nidna=={IDNA} \\\n    --hash=sha256:0 \\\n    --hash=sha256:1\nnone==1; sys_platform == 'win32'\n"
    )
    image = build(dockerfile, {"r.txt": pins})
    code = "import idna, importlib.util as u; print(idna.__version__, u.find_spec('pytest'), u.find_spec('pip'))"

    assert image.packages == ("idna",)
    assert run(image, "python", "-c", code, tmp_path=tmp_path) == (0, f"{IDNA} None None\n")


@pytest.mark.parametrize(
    ("requirements", "said"),
    [
        (["idna==0.1"], ("idna", "wanted 0.1", f"found {IDNA}", "pip install -r")),
        (["no-such-package==1.0"], ("no-such-package", "wanted 1.0", "not installed")),
        (["idna>=1"], ("not pinned",)),
        (["idna"], ("not pinned",)),
        ([f"requests=={importlib.metadata.version('requests')}"], ("not complete", "urllib3 (needed by requests)")),
        (["--index-url https://example.org"], ("'--index-url'",)),
        (["-r other.txt"], ("'-r'",)),
    ],
)
def test_requirements_that_cannot_be_met(
    build: Build, context: Path, requirements: list[str], said: tuple[str, ...]
) -> None:
    """Every package must be pinned, complete and here in that version; otherwise it is said what to run."""
    dockerfile = f"FROM {SLIM}\nCOPY sub/r.txt r.txt\nRUN pip install -r r.txt\n"
    with pytest.raises(DockerfileError) as refused:
        build(dockerfile, {"sub/r.txt": "\n".join(requirements)})

    assert all(part in str(refused.value) for part in said)
    assert str(refused.value).startswith(f"{context / 'Dockerfile'}, line 3, RUN: ")


def test_project_of_the_context_is_what_is_installed_here(build: Build, tmp_path: Path) -> None:
    """A folder that pip would build and install becomes the installed package of that name and version."""
    dockerfile = f"FROM {SLIM}\nCOPY sub sub\nRUN python3 -m pip install --no-cache-dir --no-deps ./sub\n"
    project = '[project]\nname = "idna"\nversion = "{}"\n'
    image = build(dockerfile, {"sub/pyproject.toml": project.format(IDNA)})

    assert image.packages == ("idna",)
    assert run(image, "python", "-c", "import idna", tmp_path=tmp_path) == (0, "")
    with pytest.raises(DockerfileError, match=r"idna 0\.1, the project in sub, is not in the Python"):
        build(dockerfile, {"sub/pyproject.toml": project.format("0.1")})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ADD a /a", "does not interpret ADD"),
        ("USER nobody", "does not interpret USER"),
        ("HEALTHCHECK NONE", "does not interpret HEALTHCHECK"),
        ("FROM scratch", "several stages"),
        ("RUN apt-get update", "runs only `pip install"),
        ("RUN pip install idna", "'idna'"),
        ("RUN pip install -r a && rm a", "runs only `pip install"),
        ("RUN pip install --upgrade -r a", "'--upgrade'"),
        ("RUN pip install -r missing.txt", "/missing.txt is not in the image"),
        ("RUN pip install ./dir", "with --no-deps only"),
        ("RUN pip install --no-deps ./dir", "dir is no project"),
        ("RUN <<EOF", "here-documents"),
        ("COPY --from=x a b", "--from"),
        ("COPY missing /x", "missing does not exist"),
        ("COPY ../a /x", "outside of the build context"),
        ("COPY link-out /x", "outside of the build context"),
        ("COPY dir /x", "link"),
        ("COPY *.py /x", "wildcards"),
        ("COPY ignored /x", "left out of the build context"),
        ("COPY a b /x", "ends with a slash"),
        ("COPY a", "must read COPY"),
        ("CMD serve", "exec form"),
        ("ENTRYPOINT serve now", "exec form"),
        ("ENV A", "NAME=value"),
        ("ENV A=$UNKNOWN", "UNKNOWN has no value"),
        ("ENV A=$BEFORE", "BEFORE has no value"),
        ("ENV A='x", "cannot be split"),
    ],
)
def test_what_is_not_interpreted_is_refused_by_name(build: Build, context: Path, line: str, said: str) -> None:
    """An instruction, form or file that the local cloud cannot honour stops the build with file, line and name."""
    for name in ("a", "b", "ignored"):
        (context / name).write_text("")
    (context / ".dockerignore").write_text("ignored\n")
    (context / "link-out").symlink_to("/etc/hostname")
    (context / "dir").mkdir()
    (context / "dir" / "link").symlink_to("../a")
    with pytest.raises(DockerfileError) as refused:
        build(f"ARG BEFORE=1\nFROM {SLIM}\n{line}\n")

    assert str(refused.value).startswith(f"{context / 'Dockerfile'}, line 3, {line.split()[0]}: ")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("dockerfile", "said"),
    [
        ("FROM alpine:3\n", "nothing is known of the base image 'alpine:3'"),
        ("ENV A=1\n", "must come after FROM"),
        ("# nothing\n", "has no FROM"),
        ("# escape=`\nFROM x\n", "escape"),
    ],
)
def test_dockerfile_without_a_known_base(build: Build, dockerfile: str, said: str) -> None:
    """Without a base image of which something is known there is no image."""
    with pytest.raises(ImageError, match=said):
        build(dockerfile)


def test_build_argument_that_nothing_declares(build: Build) -> None:
    """A build argument without its ARG is a mistake in one of the two."""
    with pytest.raises(ImageError, match="declares no ARG TYPO"):
        build(f"FROM {SLIM}\n", TYPO="1")


def test_links_within_what_is_copied_stay_links(build: Build, context: Path) -> None:
    """A link to a neighbour is copied as a link."""
    (context / "src").mkdir()
    (context / "src" / "link").symlink_to("real")
    image = build(f"FROM {SLIM}\nCOPY src /opt/src\n", {"src/real": "x"})
    (mount,) = [mount for mount in image.mounts if mount.target == "/opt/src"]

    assert (mount.source / "link").readlink() == Path("real")


def test_base_image_may_be_another(build: Build) -> None:
    """What differs from the real image is noted, such as the version of Python."""
    assert "Python 3.99" in build("FROM python:3.99-slim-bookworm\n").notes[0]


def test_registry_resolves_digest_and_tags(registry: ImageRegistry, context: Path) -> None:
    """An image is found by digest and by tag; a tag moves with the next build, a digest never does."""
    (context / "Dockerfile").write_text(f"FROM {SLIM}\n")
    first = registry.build("team/app", dockerfile=context / "Dockerfile", context=context, tag="v1")
    (context / "Dockerfile").write_text(f"FROM {SLIM}\nENV A=1\n")
    second = registry.build("team/app", dockerfile=context / "Dockerfile", context=context, tag="v1")
    host = "000000000000.dkr.ecr.us-east-1.amazonaws.com"

    assert first.uri == f"{host}/team/app@sha256:{first.digest}"
    assert registry.resolve(first.uri) == first
    assert registry.resolve(f"{host}/team/app:v1").digest == second.digest


@pytest.mark.parametrize(
    "uri",
    [
        "000000000000.dkr.ecr.us-east-1.amazonaws.com/other:latest",
        "000000000000.dkr.ecr.us-east-1.amazonaws.com/app:v2",
        "111111111111.dkr.ecr.us-east-1.amazonaws.com/app:latest",
        "000000000000.dkr.ecr.us-east-1.amazonaws.com/../app:latest",
        "app",
    ],
)
def test_unknown_image(registry: ImageRegistry, build: Build, uri: str) -> None:
    """An image that was not built here, under that name in this registry, is a LookupError that names it."""
    build(f"FROM {SLIM}\n")
    with pytest.raises(ImageNotFoundError) as missing:
        registry.resolve(uri)

    assert uri in str(missing.value)
    assert isinstance(missing.value, LookupError)


def test_failed_build_leaves_nothing(build: Build, tmp_path: Path) -> None:
    """A build that fails leaves no image and no folder behind."""
    with pytest.raises(DockerfileError):
        build(f"FROM {SLIM}\nUSER x\n")

    assert list((tmp_path / "state" / "images").iterdir()) == []


def test_left_over_build_of_a_killed_process_is_removed(build: Build, tmp_path: Path) -> None:
    """What a build that was killed has left is removed by the next one."""
    process = subprocess.Popen(["true"])
    process.wait()
    left = tmp_path / "state" / "images" / f".building-{process.pid}-x"
    left.mkdir(parents=True)
    build(f"FROM {SLIM}\n")

    assert not left.exists()
