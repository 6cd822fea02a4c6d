import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from local_cloud import sandbox
from local_cloud.sandbox import Mount, ProgramNotFoundError, SandboxError, Volume, VolumeFullError, spawn

PATH = {"PATH": "/usr/bin:/bin"}
TMP = ("/tmp", 1 << 20)  # noqa: S108


class Shell:
    """Runs shell commands in sandboxes and gives what they print."""

    def __init__(self, log):
        self.log = log

    def start(self, text, **options):
        """Starts a command."""
        arguments = {"env": PATH, "cwd": "/", "mounts": (), "log": self.log, "stop_grace_seconds": 1.0} | options
        return spawn(["sh", "-c", text], **arguments)

    def __call__(self, text, **options):
        """What a command printed; it must succeed."""
        code = self.start(text, **options).wait(30)
        output = self.log.read_text()
        self.log.write_text("")
        assert code == 0, output
        return output


@pytest.fixture
def shell(tmp_path):
    """A shell with a log of its own."""
    return Shell(tmp_path / "log")


@pytest.fixture
def folder(tmp_path):
    """A folder with one file."""
    made = tmp_path / "folder"
    made.mkdir()
    (made / "leaf").write_text("green")
    return made


@pytest.mark.parametrize("target", ["/opt/ml", "/var/task", "/a-new-place/deep/inside", "/usr/local/new"])
def test_mounts_where_nothing_was(shell, folder, target):
    """A folder appears at a path the host does not have; what lies beside it stays visible; the host is not changed."""
    existing = Path(target).parent
    while not existing.exists():
        existing = existing.parent
    text = shell(f"cat {target}/leaf; echo; ls -A {existing}; echo new > {target}/made", mounts=[Mount(folder, target)])

    assert text.startswith("green\n")
    assert {path.name for path in existing.iterdir()} <= set(text.split())
    assert (folder / "made").read_text() == "new\n"
    assert not Path(target).exists()


def test_mounts_inside_mounts(shell, folder, tmp_path):
    """A mount can lie inside another one, and a file can be mounted."""
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "x").write_text("x")
    mounts = [
        Mount(inner, "/opt/ml/model", read_only=True),
        Mount(folder / "leaf", "/opt/other/file"),
        Mount(folder, "/opt/ml"),
    ]
    text = shell("cat /opt/ml/leaf /opt/ml/model/x /opt/other/file; touch /opt/ml/model/y 2>&1 || true", mounts=mounts)

    assert text.startswith("greenxgreen")
    assert "Read-only file system" in text


def test_a_read_only_root_leaves_what_was_asked_for_writable(shell, folder):
    """With a read-only root only the writable mounts and the temporary file systems can be written to."""
    text = shell(
        "for path in /a /etc/a /var/tmp/a /opt/ml/a /tmp/a; do echo x 2>/dev/null > $path && echo $path; done; true",
        mounts=[Mount(folder, "/opt/ml")],
        tmpfs=[TMP],
        read_only_root=True,
    )

    assert text.split() == ["/opt/ml/a", "/tmp/a"]  # noqa: S108


def test_a_temporary_file_system_has_its_size(shell):
    """Writing more than the size of /tmp fails."""
    text = shell("head -c 3000000 /dev/zero > /tmp/big; true", tmpfs=[TMP])

    assert "No space left on device" in text


def test_a_volume_starts_with_a_folder_and_gives_it_what_is_left(shell, folder, tmp_path):
    """It has its size, and at the program's end the folder has its contents: files, folders, links, but no pipes."""
    (folder / "deep").mkdir()
    (folder / "deep" / "run").write_text("#!/bin/sh\necho run\n")
    (folder / "deep" / "run").chmod(0o755)
    text = (
        "/opt/ml/deep/run; mv /opt/ml/leaf /opt/ml/twig; ln -s twig /opt/ml/link; mkfifo /opt/ml/pipe; "
        "head -c 3000000 /dev/zero > /opt/ml/large; ls -s --block-size=1 /opt/ml/large; rm /opt/ml/large"
    )
    said = shell(text, volumes=[Volume(folder, "/opt/ml", 1 << 20)], read_only_root=True, tmpfs=[TMP])

    assert said.startswith("run\n")
    assert "No space left on device" in said
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == ["deep", "deep/run", "link", "twig"]
    assert os.access(folder / "deep" / "run", os.X_OK)
    assert (folder / "link").readlink() == Path("twig")
    assert not Path("/opt/ml").exists()


def test_a_killed_program_leaves_its_volume_behind(shell, folder):
    """As the disk of a container that was killed."""
    program = shell.start("echo 1 > /opt/ml/made; echo ready; sleep 60", volumes=[Volume(folder, "/opt/ml", 1 << 20)])
    while "ready" not in shell.log.read_text():
        time.sleep(0.01)
    program.kill()

    assert program.wait(10) == 137
    assert (folder / "made").read_text() == "1\n"


def test_a_volume_that_is_too_small_for_its_folder_is_refused(shell, folder):
    """The folder stays as it is."""
    (folder / "large").write_bytes(b"x" * 2_000_000)
    with pytest.raises(VolumeFullError, match="No space left on device"):
        shell.start("true", volumes=[Volume(folder, "/opt/ml", 1 << 20)])

    assert (folder / "large").stat().st_size == 2_000_000


def test_without_shared_memory_there_are_no_semaphores(shell):
    """With hide_shm a lock of multiprocessing cannot be made; the other devices work."""
    code = "import multiprocessing; multiprocessing.Lock()"
    text = shell(
        f"head -c 4 /dev/urandom | wc -c > /dev/null; ls /dev; {sys.executable} -c '{code}' 2>&1 | tail -1",
        hide_shm=True,
    )

    assert "shm" not in text.split()
    assert "Error" in text.splitlines()[-1]


def test_the_interpreter_stays_visible(shell):
    """Python is found though a temporary file system covers the directory it is installed under."""
    top = "/" + Path(sys.base_prefix).parts[1]
    text = shell(
        f"{sys.executable} -c 'import ssl, sys; print(sys.version_info[0])'",
        tmpfs=[(top, 1 << 20)] if top != "/usr" else [],
    )

    assert text == "3\n"


def test_sees_its_own_processes_only(shell):
    """The program is in a process namespace of its own, with the /proc of that."""
    text = shell("ls /proc | grep -c '^[0-9]'; echo $$")

    assert int(text.split()[0]) <= 5
    assert int(text.split()[1]) < 5


def test_the_environment_is_what_was_given(shell):
    """Nothing of the caller's environment gets in."""
    text = shell("env", env=PATH | {"COLOUR": "green"})

    assert {line.split("=")[0] for line in text.splitlines()} - {"PWD", "SHLVL", "_", "OLDPWD"} == {"PATH", "COLOUR"}


def test_open_files_of_the_caller_stay_out(shell):
    """The program inherits standard input, output and error, and no other file."""
    text = shell("ls /proc/self/fd")

    assert set(text.split()) <= {"0", "1", "2", "3"}  # 3 is the directory that ls reads


def test_exit_codes(shell):
    """The exit code is the program's; a signal gives 128 and its number, as in a shell."""
    assert shell.start("exit 7").wait() == 7
    assert shell.start("kill -9 $$").wait() == 137


def test_terminate_gives_time_then_kills(shell):
    """SIGTERM reaches the program; one that ignores it is killed with all its children after the grace."""
    wait = "echo up; while :; do sleep 0.05; done"
    polite = shell.start(f"trap 'exit 3' TERM; {wait}", stop_grace_seconds=30)
    stubborn = shell.start(f"trap '' TERM; sleep 777.5 & {wait}", stop_grace_seconds=0.3)
    while shell.log.read_text().count("up") < 2:
        time.sleep(0.01)
    polite.terminate()
    stubborn.terminate()

    assert (polite.wait(10), stubborn.wait(10)) == (3, 137)


def test_children_end_with_the_program(shell):
    """What a program leaves running ends with it."""
    shell("sleep 888.5 & true")
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]

    assert not any(b"888.5" in command for command in commands)


def test_kill(shell):
    """Killing ends everything at once."""
    program = shell.start("trap '' TERM; sleep 60")
    program.kill()

    assert program.wait(10) == 137
    assert program.poll() == 137


def test_wait_has_a_timeout(shell):
    """Waiting for a program that runs on raises TimeoutError and leaves it running."""
    program = shell.start("sleep 60")
    with pytest.raises(TimeoutError):
        program.wait(0.05)

    assert program.poll() is None
    program.kill()
    program.wait()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"argv": ["no-such-program"]}, ProgramNotFoundError, "Could not start no-such-program: No such file"),
        ({"cwd": "/nowhere"}, ProgramNotFoundError, "working directory /nowhere: No such file"),
        ({"mounts": [Mount(Path("/nowhere"), "/opt/ml")]}, SandboxError, "Could not take /nowhere into the sandbox"),
    ],
)
def test_what_cannot_be_started_is_named(tmp_path, options, error, words):
    """A missing program, directory or source is reported by its name, and nothing stays behind."""
    arguments = {"argv": ["true"], "env": PATH, "cwd": "/", "mounts": (), "log": tmp_path / "log"} | options
    with pytest.raises(error, match=words):
        spawn(arguments.pop("argv"), stop_grace_seconds=1, **arguments)


def test_where_namespaces_are_refused_the_next_step_is_named(monkeypatch):
    """The advice names the kernel's switch that is set on this machine."""
    real = Path.read_text
    monkeypatch.setattr(Path, "exists", lambda self: "apparmor" in str(self))
    monkeypatch.setattr(Path, "read_text", lambda self: "1\n" if "apparmor" in str(self) else real(self))
    error = sandbox._error({"kind": "namespaces", "what": "create namespaces", "errno": 1}, ["true"])

    assert "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0" in str(error)


def test_other_systems_are_refused(monkeypatch, shell):
    """On a system without namespaces the error says what is needed."""
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxError, match="needs Linux"):
        shell.start("true")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user")
def test_an_ordinary_user_needs_no_privileges(tmp_path):
    """Without root everything works the same, in a user namespace."""
    python = next((path for path in ("/usr/bin/python3", shutil.which("python3")) if path and path_is_open(path)), None)
    if python is None:
        pytest.skip("no Python that ordinary users can start")
    place = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    shutil.copytree(
        Path(sandbox.__file__).parent, place / "local_cloud", ignore=shutil.ignore_patterns("__pycache__", "[!s]*")
    )
    code = """
        import sys; sys.path.insert(0, sys.argv[1])
        from pathlib import Path
        from local_cloud.sandbox import Mount, Volume, ensure_supported, spawn
        ensure_supported()
        place = Path(sys.argv[1])
        text = ("id -u; ls /opt/ml; touch /opt/ml/made /opt/volume/kept /tmp/x; touch /root/x 2>/dev/null && echo no; "
                "exit 5")
        program = spawn(["sh", "-c", text], env={"PATH": "/usr/bin:/bin"}, cwd="/", log=place / "log",
                        mounts=[Mount(place / "ml", "/opt/ml")],
                        volumes=[Volume(place / "volume", "/opt/volume", 65536)], tmpfs=[("/tmp", 65536)],
                        read_only_root=True, hide_shm=True, stop_grace_seconds=1)
        print(program.wait(), (place / "log").read_text().split(), [path.name for path in (place / "ml").iterdir()],
              [path.name for path in (place / "volume").iterdir()])
    """
    (place / "ml").mkdir()
    (place / "volume").mkdir()
    for path in (place, place / "ml", place / "volume"):
        path.chmod(0o777)
    try:
        answer = subprocess.run(
            [python, "-B", "-c", textwrap.dedent(code), str(place)],
            capture_output=True, text=True, user=65534, group=65534, extra_groups=[], env=PATH, cwd="/", check=False,
        )  # fmt: skip
    finally:
        shutil.rmtree(place)

    assert answer.stdout.strip() == "5 ['65534'] ['made'] ['kept']", answer.stderr


def path_is_open(path):
    """Whether every directory on the way to a file can be entered by anybody."""
    return all(parent.stat().st_mode & 0o001 for parent in Path(path).resolve().parents)
