"""Models that are built when they are first used."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ConfigDict, ValidationError

from treering.deferred_model import DeferredModel

ROOT = Path(__file__).parents[3]

# in a process of its own, where no contract was used before
_AT_ONCE = """
import sys
sys.setswitchinterval(1e-6)
import threading
from treering import contracts
models = [one for one in vars(contracts).values() if isinstance(one, type) and issubclass(one, contracts.Contract)]
assert not any(one.__pydantic_complete__ for one in models if one.__pydantic_fields__), "all are to be deferred"
start, wrong = threading.Barrier(8), []
def use():
    for model in models:
        start.wait(30)
        try:
            model.model_validate({"no_contract_has_this": 1})
        except contracts.ValidationError as error:
            if "extra_forbidden" not in {one["type"] for one in error.errors()}:
                wrong.append(f"{model.__name__}: {error}")
        except Exception as error:
            wrong.append(f"{model.__name__}: {error!r}")
        else:
            wrong.append(f"{model.__name__} took anything")
threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit("; ".join(wrong) or 0)
"""


def test_it_is_immutable_and_keeps_what_a_model_adds() -> None:
    """A subclass's own settings come on top."""

    class Tree(DeferredModel):
        model_config = ConfigDict(extra="forbid")
        rings: int

    assert not Tree.__pydantic_complete__
    assert Tree(rings=3).rings == 3
    assert Tree.__pydantic_complete__
    with pytest.raises(ValidationError, match="frozen"):
        Tree(rings=3).rings = 4  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Tree.model_validate({"rings": 3, "bark": True})


def test_threads_that_first_use_a_model_at_once_all_get_it_whole() -> None:
    """Every contract refuses what it does not know, in each of eight threads that ask at the same moment."""
    done = subprocess.run(
        [sys.executable, "-c", _AT_ONCE], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr[-3000:]
