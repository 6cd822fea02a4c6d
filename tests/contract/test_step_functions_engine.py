"""The pinned engine still has what this project replaces in it and relies on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from local_cloud.step_functions.engine import loading


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
