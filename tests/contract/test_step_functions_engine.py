"""The pinned engine still has what this project replaces in it and relies on."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from local_cloud.step_functions.engine import loading
from tests.contract.emulator_uses import class_uses, uses


def test_every_seam_is_there() -> None:
    """No symbol that is replaced or used is missing from the installed engine."""
    loading.load()
    from local_cloud.step_functions.engine import seams

    assert seams.missing() == []


def test_every_replacement_is_in_place() -> None:
    """After loading, each seam's symbol is its replacement, in every module of the engine that imported it."""
    loading.load()
    from local_cloud.step_functions.engine import seams

    for seam in seams.SEAMS:
        assert seams._find(seam.module, seam.symbol) is seam.replacement, seam.symbol
    engine = [module for name, module in sys.modules.items() if name.startswith("moto.stepfunctions")]
    assert len({module.boto_client_for for module in engine if hasattr(module, "boto_client_for")}) == 1


def test_every_private_attribute_that_is_used_is_in_the_list() -> None:
    """Of the engine's classes and modules: what is read, overridden, or called by a class upon one of them."""
    loading.load()
    from local_cloud.step_functions.engine import seams

    used: set[tuple[str, str]] = set()
    for path in Path(loading.__file__).parents[1].rglob("*.py"):
        used |= {use for use in uses(path, "moto") if use[1].startswith("_")}
        used |= {use for use in class_uses(path, "moto") if _engine_has(*use)}
    listed = {(seam.module, seam.symbol) for seam in seams.SEAMS} | set(seams.USED)

    assert used
    assert used - listed == set()


def _engine_has(module: str, symbol: str) -> bool:
    name, _, attribute = symbol.partition(".")
    return hasattr(getattr(importlib.import_module(module), name), attribute)


def test_an_engine_without_an_imported_name_is_refused() -> None:
    """A public class that is gone is named, too, with what to install."""
    program = (
        "from local_cloud.step_functions.engine.lean_imports import stand_ins\n"
        "with stand_ins():\n"
        "    import moto.stepfunctions.parser.asl.utils.json_path as json_path\n"
        "del json_path.NoSuchJsonPathError\n"
        "from local_cloud.step_functions.engine import loading; loading.load()"
    )
    refused = subprocess.run([sys.executable, "-c", program], check=False, timeout=120, capture_output=True, text=True)

    assert refused.returncode != 0
    assert "the installed moto lacks what the state machines stand on" in refused.stderr
    assert "NoSuchJsonPathError" in refused.stderr
    assert "requirements/dev.txt" in refused.stderr


def test_a_missing_symbol_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine without a symbol is refused with the symbol's name and what to do."""
    loading.load()
    from local_cloud.step_functions.engine import seams

    monkeypatch.setattr(seams, "USED", (("moto.stepfunctions.parser.utils", "NO_SUCH_LIST"),))

    with pytest.raises(seams.SeamError, match=r"NO_SUCH_LIST.*requirements/dev\.txt"):
        seams.install()


def test_loading_the_engine_leaves_other_emulators_alone() -> None:
    """The engine loads without moto's EC2, and modules that stood in for others are gone afterwards."""
    program = (
        "import sys; from local_cloud.step_functions.engine import loading; loading.load(); "
        "assert 'moto.ec2' not in sys.modules and 'moto.logs' not in sys.modules; "
        "from moto.logs.models import logs_backends; from moto.batch.models import batch_backends"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=120).returncode == 0


def test_loading_the_engine_bears_other_imports_meanwhile() -> None:
    """Other threads of the local cloud import their own parts while the engine loads: modules come and go."""
    program = (
        "import sys, threading; sys.setswitchinterval(1e-6)\n"
        "from local_cloud.step_functions.engine.lean_imports import stand_ins\n"
        "done = threading.Event()\n"
        "def others():\n"
        "    while not done.is_set():\n"
        "        for number in range(50): sys.modules[f'other{number}'] = sys\n"
        "        for number in range(50): del sys.modules[f'other{number}']\n"
        "thread = threading.Thread(target=others); thread.start()\n"
        "try:\n"
        "    for _ in range(300):\n"
        "        with stand_ins(): pass\n"
        "finally:\n"
        "    done.set(); thread.join()\n"
    )
    loaded = subprocess.run([sys.executable, "-c", program], check=False, timeout=120, capture_output=True, text=True)

    assert loaded.returncode == 0, loaded.stderr
