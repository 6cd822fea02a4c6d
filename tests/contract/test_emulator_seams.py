"""The emulator underneath has what the local cloud hooks into, and each such place is in the list of seams."""

import ast
import importlib
import inspect
import textwrap
from pathlib import Path

import pytest

from local_cloud import persistence, seams
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


@pytest.mark.parametrize("name", persistence.LARGE)
def test_a_large_state_is_given_as_copies_and_nothing_else(name: str) -> None:
    """Only such a function may be asked for what is kept itself: one that changed its copy would change the state."""
    get_state = importlib.import_module(f"ministack.services.{name}").get_state
    [function] = ast.parse(textwrap.dedent(inspect.getsource(get_state))).body
    assert isinstance(function, ast.FunctionDef)
    called = {ast.unparse(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}

    assert [type(line) for line in function.body] == [ast.Return]
    assert {"copy.deepcopy"} <= called <= {"copy.deepcopy", "store"}


def test_what_is_kept_is_given_without_a_copy() -> None:
    """The same as from the emulator's own function, down to the objects that it keeps."""
    from ministack.services import cloudwatch

    cloudwatch._dashboards["one"] = {"body": ["of", "many"]}
    try:
        given = persistence.without_copies(cloudwatch.get_state)()

        assert given["dashboards"] is cloudwatch._dashboards
        assert cloudwatch.get_state()["dashboards"] is not cloudwatch._dashboards
        assert given.keys() == cloudwatch.get_state().keys()
    finally:
        del cloudwatch._dashboards["one"]


def test_a_missing_symbol_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the installed version and what to install."""
    monkeypatch.setitem(seams.SYMBOLS, "services.sts", ("register_session", "no_such_thing"))

    with pytest.raises(seams.SeamsBrokenError, match=r"lacks ministack\.services\.sts\.no_such_thing.*requirements"):
        seams.check_seams(below="services.sts")
