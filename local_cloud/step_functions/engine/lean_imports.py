"""Import moto's engine without the emulators of other services that it mentions.

The engine takes one small enumeration from `moto.batch`, which loads moto's whole EC2 (1.2 s), and three names from
`moto.logs.models`, which loads its S3, EventBridge and CloudWatch, for a log session that is replaced here. Stand-ins
take their place while the engine is imported and leave afterwards: whoever really wants those modules gets them.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType


@contextmanager
def stand_ins() -> Iterator[None]:
    """Keep `moto.batch` and `moto.logs` light for the duration."""
    moto = importlib.util.find_spec("moto")
    if moto is None or not moto.submodule_search_locations:
        raise ImportError("moto is not installed; install the packages of requirements/dev.txt")
    home = Path(next(iter(moto.submodule_search_locations)))
    placed: dict[str, ModuleType] = {}
    for name in ("moto.batch", "moto.logs"):
        if name not in sys.modules:
            package = ModuleType(name)
            package.__path__ = [str(home / name.rpartition(".")[2])]
            placed[name] = package
    if "moto.logs" in placed:
        models = ModuleType("moto.logs.models")
        for attribute in ("LogEvent", "LogsBackend", "logs_backends"):
            setattr(models, attribute, object)
        placed["moto.logs.models"] = models
    sys.modules.update(placed)
    try:
        yield
    finally:
        # copied first: other threads import meanwhile
        for name in [name for name in list(sys.modules) if name.startswith(("moto.batch", "moto.logs"))]:
            if name.rpartition(".")[0] in placed or name in placed:
                del sys.modules[name]
                parent = sys.modules.get(name.rpartition(".")[0])
                if parent is not None and hasattr(parent, name.rpartition(".")[2]):
                    delattr(parent, name.rpartition(".")[2])
