"""The folders of past runs."""

import fcntl
import json
from pathlib import Path

from cli.commands.run import KEPT_RUNS, new_folder


def test_the_last_runs_are_kept(tmp_path: Path) -> None:
    """Each run gets a folder of its own, named by its time; the oldest go, also if two start at the same time."""
    folders = [new_folder(tmp_path) for _ in range(KEPT_RUNS + 3)]

    assert len(set(folders)) == KEPT_RUNS + 3
    assert sorted(tmp_path.iterdir()) == folders[-KEPT_RUNS:]


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    """A cloud holds its folder by a lock; such a folder is not removed, however old."""
    held = new_folder(tmp_path)
    names = ("endpoint", "region", "account_id", "access_key_id", "secret_access_key", "started_at")
    (held / "cloud.json").write_text(json.dumps({**dict.fromkeys(names, ""), "pid": 1}))
    with (held / "cloud.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        for _ in range(KEPT_RUNS + 3):
            new_folder(tmp_path)

        assert held.exists()
