"""What still runs below a cloud's process."""

import re
from pathlib import Path

_MOUNTED = re.compile(r"sagemaker/(processing-jobs|training-jobs|endpoints)/(\S+)/ml /opt/ml ")


def servers(pid: int) -> set[int]:
    """Processes of the model servers below a process."""
    return {each for each in descendants(pid) if (match := _mounted(each)) and match[1] == "endpoints"}


def containers(pid: int) -> tuple[set[str], set[str]]:
    """The jobs and the model servers whose processes run below a process, by the folders that they have as /opt/ml."""
    jobs: set[str] = set()
    models: set[str] = set()
    for each in descendants(pid):
        match = _mounted(each)
        if match:
            (models if match[1] == "endpoints" else jobs).add(match[2])
    return jobs, models


def _mounted(pid: int) -> re.Match[str] | None:
    return _MOUNTED.search(_read(Path(f"/proc/{pid}/mountinfo")))


def descendants(pid: int) -> set[int]:
    """All processes that a process started, directly or not, and that have not ended."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        fields = _read(entry / "stat").rpartition(")")[2].split() if entry.name.isdigit() else []
        if len(fields) > 1 and fields[0] not in "ZX":
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child)
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it has ended
        return ""
