"""The emulator underneath has what the local cloud hooks into, and each such place is in the list of seams."""

from pathlib import Path

import pytest

from local_cloud import seams
from local_cloud.lambda_runtime import seam as lambda_seam
from tests.contract.emulator_uses import uses

LOCAL_CLOUD = Path(seams.__file__).parent


def test_every_seam_is_there() -> None:
    """The pinned emulator has each symbol in the list."""
    seams.check_seams()


def test_every_symbol_that_is_used_is_in_a_list() -> None:
    """So that the checks at start cannot miss one: imported, read, called or replaced, public or private."""
    used = {use for path in LOCAL_CLOUD.rglob("*.py") for use in uses(path, "ministack")}
    listed = {(f"ministack.{module}", symbol) for module, symbols in seams.SYMBOLS.items() for symbol in symbols}
    listed |= {("ministack.services.lambda_svc", symbol) for symbol in lambda_seam.SYMBOLS}

    assert {use for use in used if not use[1].startswith("__")} - listed == set()


def test_a_use_is_found_however_it_is_written(tmp_path: Path) -> None:
    """Imported names, attributes of modules under another name, within functions, by getattr, and kept by an object."""
    source = tmp_path / "source.py"
    source.write_text(
        "from ministack.core.arn import parse_arn as parse\n"
        "from ministack.services import s3 as storage\n"
        "def late():\n"
        "    from ministack.services.cloudformation import stacks\n"
        "    stacks._add_event = setattr(storage, '_buckets', {})\n"
        "class Holder:\n"
        "    def get(self):\n"
        "        return self._app._get_module('s3')\n"
    )

    assert set(uses(source, "ministack")) == {
        ("ministack.core.arn", "parse_arn"),
        ("ministack.services.s3", "_buckets"),
        ("ministack.services.cloudformation.stacks", "_add_event"),
        ("ministack.app", "_get_module"),
    }


def test_a_missing_symbol_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the installed version and what to install."""
    monkeypatch.setitem(seams.SYMBOLS, "services.sts", ("register_session", "no_such_thing"))

    with pytest.raises(seams.SeamsBrokenError, match=r"lacks ministack\.services\.sts\.no_such_thing.*requirements"):
        seams.check_seams(below="services.sts")
