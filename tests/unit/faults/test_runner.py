"""Playing scenarios: each on a bench, and nothing left of a bench that Ctrl-C ends."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults import runner
from tests.faults.scenario import Scenario


class FakeBench:
    """A cloud that is in service until it is closed."""

    made: list["FakeBench"]

    def __init__(self, folder: Path) -> None:
        self.closed = threading.Event()
        self.made.append(self)

    def prepare(self) -> None:
        """Nothing to deploy."""

    def close(self) -> None:
        """End."""
        self.closed.set()


@pytest.fixture(autouse=True)
def benches(monkeypatch: pytest.MonkeyPatch) -> list[FakeBench]:
    """The benches that were made."""
    FakeBench.made = []
    monkeypatch.setattr(runner, "Bench", FakeBench)
    monkeypatch.setattr(runner, "Stage", lambda bench: bench)
    return FakeBench.made


def scenario(name: str, play: Callable[[Any], None]) -> Scenario:
    """A scenario of its own group."""
    return Scenario(name, "Group", "a fault", "somewhere", "an outcome", play)


def test_after_a_difference_the_next_is_played_on_another_bench(benches: list[FakeBench], tmp_path: Path) -> None:
    """The results come in the scenarios' order; every bench is closed."""

    def differs(_: object) -> None:
        raise runner.DifferenceError("something else came")

    scenarios = [scenario("bad", differs), scenario("good", lambda _: None), scenario("fine", lambda _: None)]
    results = runner.play_all(scenarios, 1, lambda _: None, tmp_path)

    assert [(result.scenario.name, result.seen) for result in results] == [
        ("bad", "something else came"),
        ("good", "ok"),
        ("fine", "ok"),
    ]
    assert len(benches) == 2
    assert all(bench.closed.is_set() for bench in benches)


def test_ctrl_c_ends_what_is_played_and_plays_nothing_more(
    benches: list[FakeBench], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clouds are ended under their scenarios, which then fail; that is no result, and the queue is left."""
    told: list[str] = []
    playing = threading.Barrier(3)

    def waits(bench: FakeBench) -> None:
        playing.wait(10)
        bench.closed.wait(10)
        raise ConnectionError("the cloud does not answer")

    def interrupt() -> None:
        playing.wait(10)
        signal.pthread_kill(main, signal.SIGINT)

    main = threading.get_ident()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    user = threading.Thread(target=interrupt)
    try:
        user.start()
        with pytest.raises(KeyboardInterrupt):
            runner.play_all([scenario(f"wait-{n}", lambda b: waits(b)) for n in range(5)], 2, told.append, tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
        user.join()

    assert len(benches) == 2
    assert all(bench.closed.is_set() for bench in benches)
    assert not told
