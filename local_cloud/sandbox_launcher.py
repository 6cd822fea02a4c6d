"""Sets up the namespaces of one sandbox and runs one program in it (started by `local_cloud.sandbox`, as a script).

Three processes take part, so that nothing outlives the local cloud:

1. this launcher, a child of the local cloud, builds the mount namespace and waits for (2);
2. process 1 of a new pid namespace reaps orphans, passes SIGTERM on, and ends, taking every process of the
   namespace with it, as soon as the program has ended, its time to stop is over, or the *lifeline* is closed;
3. the program itself.

The lifeline is a pipe whose only writing end the local cloud holds: the kernel closes it even after `kill -9`.

Only small modules of the standard library are imported (no json, typing, pathlib): the start of a program waits for
this one. Argument: the number of an inherited file descriptor with the specification, marshalled by
`local_cloud.sandbox`.
"""
# pathlib would double the start-up time
# ruff: noqa: PTH101, PTH102, PTH103, PTH106, PTH110, PTH112, PTH115, PTH116, PTH118, PTH120, PTH123, PTH211

from __future__ import annotations

import ctypes
import errno
import marshal
import os
import select
import signal
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any, NoReturn

# <sched.h>, <sys/mount.h>, <linux/mount.h>, <sys/prctl.h>
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x00020000, 0x10000000, 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_REC, MS_PRIVATE, MS_RELATIME = 1024, 2048, 4096, 16384, 1 << 18, 1 << 21
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
AT_FDCWD, AT_RECURSIVE, AT_NO_AUTOMOUNT = -100, 0x8000, 0x800
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC, MOVE_MOUNT_F_EMPTY_PATH = 1, os.O_CLOEXEC, 4
MOUNT_ATTR_RDONLY = 1
# system calls newer than 2019 have the same number on every architecture
SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_MOUNT_SETATTR = 428, 429, 442

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
DEVICE_LINKS = {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}  # below /proc/self/fd
MOUNT_OPTIONS = {
    "ro": MS_RDONLY, "nosuid": MS_NOSUID, "nodev": MS_NODEV, "noexec": MS_NOEXEC,
    "noatime": MS_NOATIME, "nodiratime": MS_NODIRATIME, "relatime": MS_RELATIME,
}  # fmt: skip
SCAFFOLD_OPTIONS = "size=1m,mode=0755"  # holds mount points only
HOST_ENTRIES = ".treering-host"

libc = ctypes.CDLL(None, use_errno=True)


class MountAttributes(ctypes.Structure):
    """`struct mount_attr` of <linux/mount.h>."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


class SetupError(Exception):
    """What could not be set up; `kind` tells `local_cloud.sandbox` which advice to give."""

    def __init__(self, kind: str, what: str, number: int = 0) -> None:
        super().__init__(what)
        self.kind, self.what, self.number = kind, what, number


def checked(result: int, kind: str, what: str) -> int:
    """Returns the result of a libc call; raises SetupError when it is -1."""
    if result == -1:
        raise SetupError(kind, what, ctypes.get_errno())
    return result


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """mount(2)."""
    arguments = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    options = None if data is None else data.encode()
    result = libc.mount(*arguments, ctypes.c_ulong(flags), options)
    checked(result, "mount", f"mount {kind or source or 'flags'} on {target}")


def clone_tree(path: str) -> int:
    """Copies the mounts at and under a path, without attaching them: still usable once the path is covered."""
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_NO_AUTOMOUNT
    result = libc.syscall(SYS_OPEN_TREE, AT_FDCWD, os.fsencode(path), ctypes.c_uint(flags))
    return checked(result, "source", f"take {path} into the sandbox")


def attach_tree(tree: int, target: str) -> None:
    """Mounts what `clone_tree` copied."""
    arguments = (tree, b"", AT_FDCWD, os.fsencode(target), MOVE_MOUNT_F_EMPTY_PATH)
    checked(libc.syscall(SYS_MOVE_MOUNT, *arguments), "mount", f"mount on {target}")
    os.close(tree)


def set_read_only(path: str, read_only: bool, recursive: bool = False) -> None:
    """Makes a mount (and those under it) read-only or writable, leaving its other flags alone."""
    change = MountAttributes(attr_set=MOUNT_ATTR_RDONLY) if read_only else MountAttributes(attr_clr=MOUNT_ATTR_RDONLY)
    flags = AT_RECURSIVE if recursive else 0
    size = ctypes.sizeof(change)
    result = libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, os.fsencode(path), flags, ctypes.byref(change), size)
    if result == -1 and ctypes.get_errno() == errno.ENOSYS:  # before Linux 5.12
        return remount(path, read_only, recursive)
    checked(result, "mount", f"make {path} {'read-only' if read_only else 'writable'}")
    return None


def remount(path: str, read_only: bool, recursive: bool) -> None:
    """`set_read_only` mount by mount: inside a user namespace the kernel insists on the other flags being repeated."""
    options: dict[str, int] = {}
    with open("/proc/self/mountinfo") as lines:
        for line in lines:
            fields = line.split(" ")
            point = fields[4].encode().decode("unicode_escape")
            options[point] = sum(MOUNT_OPTIONS.get(option, 0) for option in fields[5].split(","))
    for point, flags in options.items():
        if point == path or (recursive and is_under(point, path)):
            flags = flags | MS_RDONLY if read_only else flags & ~MS_RDONLY
            try:
                mount(None, point, None, MS_REMOUNT | MS_BIND | flags)
            except SetupError as error:  # a mount that another one covers cannot be reached, nor written to
                if error.number not in (errno.EINVAL, errno.ENOENT, errno.EACCES):
                    raise


def is_under(path: str, ancestor: str) -> bool:
    """Whether a path is another one or lies under it."""
    return path == ancestor or path.startswith(ancestor.rstrip("/") + "/")


class MountTree:
    """The sandbox's view of the file system: the host's, with directories and files of our own in it."""

    def __init__(self) -> None:
        self.owners = {"/": "host"}  # mount point -> whose: only in our own ones can a mount point be created

    def owner(self, path: str) -> str:
        """Whose mount a path lies on: "host" or "ours"."""
        return self.owners[max((point for point in self.owners if is_under(path, point)), key=len)]

    def make_point(self, target: str, directory: bool) -> str:
        """Makes sure that a mount point exists, without touching the host's directories. Returns its real path."""
        target = os.path.realpath(target)
        if os.path.lexists(target):
            return target
        ancestor = os.path.dirname(target)
        while not os.path.isdir(ancestor):
            ancestor = os.path.dirname(ancestor)
        if self.owner(ancestor) == "host":
            self.scaffold(ancestor)
        try:
            os.makedirs(target if directory else os.path.dirname(target), exist_ok=True)
            if not directory:
                os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
        except OSError as error:
            raise SetupError("mount", f"create the mount point {target}", error.errno or 0) from error
        return target

    def scaffold(self, directory: str) -> None:
        """Covers a directory of the host with an empty one of ours and shows all of its entries in it again."""
        host = clone_tree(directory)
        self.owners = {point: whose for point, whose in self.owners.items() if not is_under(point, directory)}
        # "/" cannot be covered: the new root is built over /tmp, then takes its place
        place = "/tmp" if directory == "/" else directory  # noqa: S108
        mode = stat.S_IMODE(os.stat(directory).st_mode)
        mount("tmpfs", place, "tmpfs", MS_NOSUID | MS_NODEV, f"size=1m,mode={mode:o}")
        hidden = os.path.join(place, HOST_ENTRIES)
        os.mkdir(hidden)
        attach_tree(host, hidden)
        for entry in os.scandir(hidden):
            self.show(entry, os.path.join(place, entry.name))
            if not entry.is_symlink():
                self.owners[os.path.join(directory, entry.name)] = "host"
        checked(libc.umount2(os.fsencode(hidden), MNT_DETACH), "mount", f"detach {hidden}")
        os.rmdir(hidden)
        if directory == "/":
            os.chdir(place)
            checked(libc.pivot_root(b".", b"."), "mount", "change the root directory")
            checked(libc.umount2(b".", MNT_DETACH), "mount", "detach the old root directory")
            os.chdir("/")
        self.owners[directory] = "ours"

    def show(self, entry: os.DirEntry[str], place: str) -> None:
        """Shows one entry of a covered directory at its old place."""
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), place)
            return
        if entry.is_dir(follow_symlinks=False):
            os.mkdir(place)
        else:
            os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o600))
        try:
            mount(entry.path, place, None, MS_BIND | MS_REC)
        except SetupError as error:  # gone meanwhile, or out of this user's reach on the host too
            if error.number not in (errno.ENOENT, errno.EACCES):
                raise

    def minimal_devices(self) -> None:
        """Replaces /dev by the few devices that a Lambda function finds: without /dev/shm no semaphore can be made."""
        trees = {name: clone_tree(f"/dev/{name}") for name in DEVICES if os.path.exists(f"/dev/{name}")}
        mount("tmpfs", "/dev", "tmpfs", MS_NOSUID, SCAFFOLD_OPTIONS)
        for name, tree in trees.items():
            os.close(os.open(f"/dev/{name}", os.O_CREAT | os.O_WRONLY, 0o600))
            attach_tree(tree, f"/dev/{name}")
        for name, text in DEVICE_LINKS.items():
            os.symlink(f"/proc/self/fd{text}", f"/dev/{name}")
        self.owners = {point: whose for point, whose in self.owners.items() if not is_under(point, "/dev")}
        self.owners["/dev"] = "ours"

    def apply(self, specification: dict[str, Any]) -> None:
        """Mounts everything the specification asks for, parents before children."""
        mounts = [(item["target"], item["source"], item["read_only"]) for item in specification["mounts"]]
        covered = [target for target, _, _ in mounts] + [target for target, _ in specification["tmpfs"]]
        kept = [path for path in specification["keep"] if any(is_under(path, target) for target in covered)]
        mounts += [(path, path, True) for path in kept]
        actions: list[tuple[str, int | None, bool, bool, int]] = [
            (target, clone_tree(source), os.path.isdir(source), read_only, 0) for target, source, read_only in mounts
        ]
        actions += [(target, None, True, False, size) for target, size in specification["tmpfs"]]
        volumes = specification["volumes"]
        actions += [(target, clone_tree(source), True, False, size) for target, source, size in volumes]
        if specification["hide_shm"]:
            self.minimal_devices()
        writable = []
        for target, tree, directory, read_only, size in sorted(actions, key=lambda action: action[0].count("/")):
            point = self.make_point(target, directory)
            if size:
                mount("tmpfs", point, "tmpfs", MS_NOSUID | MS_NODEV, f"size={size},mode=1777")
                if tree is not None:
                    fill(point, tree)
            elif tree is not None:
                attach_tree(tree, point)
            self.owners[point] = "ours"
            if read_only:
                set_read_only(point, True, recursive=True)
            else:
                writable.append(point)
        if specification["read_only_root"]:
            set_read_only("/", True, recursive=True)
            for point in writable:
                set_read_only(point, False)


def fill(point: str, tree: int) -> None:
    """Copies what `clone_tree` has copied the mounts of into a new file system, which may be too small for it."""
    hidden = os.path.join(point, HOST_ENTRIES)
    try:
        os.mkdir(hidden)
        attach_tree(tree, hidden)
        copy(hidden, point)
        checked(libc.umount2(os.fsencode(hidden), MNT_DETACH), "mount", f"detach {hidden}")
        os.rmdir(hidden)
    except OSError as error:
        raise SetupError("volume", f"copy the files of {point} into a volume of its own", error.errno or 0) from error


def copy(source: str, target: str) -> None:
    """Copies files, folders and symbolic links."""
    for entry in os.scandir(source):
        place = os.path.join(target, entry.name)
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), place)
            continue
        if entry.is_dir():
            os.mkdir(place)
            copy(entry.path, place)
        else:
            with open(entry.path, "rb") as original, open(place, "wb") as copied:
                while chunk := original.read(1 << 20):
                    copied.write(chunk)
        os.chmod(place, stat.S_IMODE(entry.stat().st_mode))


def hand_over(channel: int, volumes: list[tuple[str, str, int]]) -> None:
    """Gives the local cloud a way into the volumes that outlives this namespace: it wants what the program leaves."""
    import socket  # takes longer than all the rest, and hardly a sandbox has a volume

    opened = [os.open(os.path.realpath(target), os.O_RDONLY | os.O_DIRECTORY) for target, _, _ in volumes]
    with socket.socket(fileno=channel) as sending:
        socket.send_fds(sending, [b"volumes"], opened)
    for descriptor in opened:
        os.close(descriptor)


def new_namespaces() -> None:
    """Enters new mount and pid namespaces; where that takes a user namespace, into one with the same user in it."""
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWNS | CLONE_NEWPID) == -1:
        flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID
        checked(libc.unshare(flags), "namespaces", "create user, mount and process namespaces")
        maps = (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1"))
        for name, text in maps:
            try:
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(text)
            except OSError as error:
                raise SetupError("namespaces", f"write /proc/self/{name}", error.errno or 0) from error
    try:
        mount(None, "/", None, MS_REC | MS_PRIVATE)
    except SetupError as error:  # Ubuntu's AppArmor allows the namespace, then refuses every mount in it
        raise SetupError("namespaces", error.what, error.number) from error


def exit_code(status: int) -> int:
    """The exit code of a wait status; for a signal 128 + its number, as shells and container engines say it."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def run_program(specification: dict[str, Any], _: int) -> NoReturn:
    """Becomes the program."""
    try:
        os.chdir(specification["cwd"])
    except OSError as error:
        raise SetupError("cwd", f"enter the working directory {specification['cwd']}", error.errno or 0) from error
    os.setsid()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them; a program expects them
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    argv = specification["argv"]
    try:
        os.execvpe(argv[0], argv, specification["env"])  # noqa: S606
    except OSError as error:
        raise SetupError("exec", f"start {argv[0]}", error.errno or 0) from error


def be_init(specification: dict[str, Any], status: int) -> NoReturn:
    """Process 1 of the pid namespace. Whatever ends it, the kernel kills every other process of the namespace."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    program = os.fork()
    if program == 0:
        attempt(run_program, specification, status)
    os.close(status)

    deadline: float | None = None

    def forward(number: int, _: FrameType | None) -> None:
        # The program is not process 1 as it is in a container, so without a handler of its own SIGTERM ends it here
        # at once, as under `docker run --init`; in SageMaker it would be killed when the time to stop is over.
        nonlocal deadline
        deadline = deadline or time.monotonic() + specification["stop_grace_seconds"]
        os.kill(program, number)

    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, forward)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    poll = select.poll()
    poll.register(specification["lifeline"], select.POLLIN)
    poll.register(wake_read, select.POLLIN)
    while True:
        remaining = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        events = dict(poll.poll(remaining))
        if specification["lifeline"] in events or (deadline is not None and time.monotonic() >= deadline):
            os._exit(128 + signal.SIGKILL)
        if wake_read in events:
            os.read(wake_read, 4096)
        while (ended := reap()) is not None:
            if ended[0] == program:
                os._exit(exit_code(ended[1]))


def reap() -> tuple[int, int] | None:
    """One child that has ended and its wait status; None when there is none."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


def attempt(
    function: Callable[[dict[str, Any], int], NoReturn], specification: dict[str, Any], status: int
) -> NoReturn:
    """Calls a function that does not return; reports what goes wrong to the local cloud through the status pipe."""
    try:
        function(specification, status)
    except SetupError as error:
        os.write(status, marshal.dumps({"kind": error.kind, "what": error.what, "errno": error.number}))
    except BaseException as error:
        os.write(status, marshal.dumps({"kind": "launcher", "what": repr(error), "errno": 0}))
    os._exit(125)  # as `docker run` when the container could not be started


def launch(specification: dict[str, Any], status: int) -> NoReturn:
    """Builds the namespaces, starts process 1 in them and ends with its exit code."""
    new_namespaces()
    MountTree().apply(specification)
    if specification["volumes"]:
        hand_over(specification["channel"], specification["volumes"])
    # from here on no signal may be lost between two processes
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGCHLD])
    init = os.fork()
    if init == 0:
        attempt(be_init, specification, status)
    os.close(status)
    signal.signal(signal.SIGTERM, lambda number, _: os.kill(init, number))
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    while True:
        _, wait_status = os.waitpid(init, 0)
        os._exit(exit_code(wait_status))


def main() -> NoReturn:
    """Reads the specification from the inherited file descriptor."""
    with open(int(sys.argv[1]), "rb") as file:
        file.seek(0)
        specification = marshal.load(file)  # noqa: S302  written by our parent process
    status = specification["status"]
    os.set_inheritable(status, False)
    os.set_inheritable(specification["lifeline"], False)
    attempt(launch, specification, status)


if __name__ == "__main__":
    main()
