"""The emulator underneath has what the local cloud hooks into, and each such place is in the list of seams."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cloud import seams

LOCAL_CLOUD = Path(seams.__file__).parent
# These check their own places when they start.
OWN_CHECKS = ("lambda_runtime", "step_functions", "sagemaker")


def _used(path: Path) -> Iterator[str]:
    """Names of the emulator's private symbols that a module uses, as module.symbol without the package's name."""
    tree = ast.parse(path.read_text())
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ministack"):
            below = (node.module or "").removeprefix("ministack").lstrip(".")
            for name in node.names:
                modules[name.asname or name.name] = f"{below}.{name.name}".lstrip(".")
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr.startswith("_")):
            continue
        if node.value.id in modules:
            yield f"{modules[node.value.id]}.{node.attr}"


def test_every_seam_is_there() -> None:
    """The pinned emulator has each symbol in the list."""
    seams.check_seams()


def test_every_private_symbol_that_is_used_is_in_the_list() -> None:
    """So that the check at start cannot miss one."""
    files = [path for path in LOCAL_CLOUD.rglob("*.py") if path.relative_to(LOCAL_CLOUD).parts[0] not in OWN_CHECKS]
    used = {symbol for path in files for symbol in _used(path)}
    listed = {f"{module}.{symbol}" for module, symbols in seams.SYMBOLS.items() for symbol in symbols}

    assert used - listed == set()


def test_a_missing_symbol_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the installed version and what to install."""
    monkeypatch.setitem(seams.SYMBOLS, "services.sts", ("register_session", "no_such_thing"))

    with pytest.raises(seams.SeamsBrokenError, match=r"lacks ministack\.services\.sts\.no_such_thing.*requirements"):
        seams.check_seams(below="services.sts")
