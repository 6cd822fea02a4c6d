"""``python -m local_cloud.containers FOLDER``: removes images and containers that are kept in a folder."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from local_cloud.containers import podman

if __name__ == "__main__":
    podman.remove(shutil.which("podman") or "podman", Path(sys.argv[1]))
