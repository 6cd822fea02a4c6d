"""`treering run --containers`: the weekly run in containers, and what is left of it when it is cut off."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import Any

from tests.containers.conftest import ROOT, Place, WeeklyRun

JOBS = ["Preprocess", "Train Random Forest", "Deploy Endpoint", "Test Endpoint"]


def starts(place: Place) -> Counter[str]:
    """How many containers of each image have been started in the last day: digest → number."""
    until = "--stream=false" if place.engine.name == "podman" else f"--until={time.time():.0f}"
    listed = place.engine.run(
        "events", "--since=24h", until, "--filter=event=start", "--filter=type=container", "--format={{json .}}"
    )
    return Counter(_image(json.loads(line)).removeprefix("sha256:") for line in listed.splitlines() if line.strip())


def _image(event: dict[str, Any]) -> str:
    """An event's image, as Podman or Docker tells it."""
    return str(event.get("Image") or event["Actor"]["Attributes"]["image"])


def running(place: Place) -> set[str]:
    """Local clouds that have containers, in any state."""
    listed = place.engine.run("ps", "--all", "--filter=label=treering.cloud", "--format={{.Names}}")
    return {name.split("-")[1] for name in listed.split()}


def test_the_weekly_run_succeeds_in_containers(weekly_run: WeeklyRun, place: Place) -> None:
    """All states succeed; jobs and endpoint run in containers of the job image, each function in one of its own."""
    report = weekly_run.report
    repositories = weekly_run.state / "images" / "repositories"
    (job_image,) = (path.name for path in (repositories / "jobimageuri" / "digests").iterdir())
    functions = [
        next((repositories / f"{name}function" / "digests").iterdir()).name for name in ("ingest", "createrunid")
    ]
    started = starts(place)
    states = {state["name"]: state["status"] for state in report["states"]}

    assert report["outcome"] == "succeeded"
    assert set(states.values()) == {"succeeded"}
    assert set(JOBS) <= set(states)
    assert report["test_endpoint"]["largest_relative_difference"] < 1e-9
    assert started[job_image] >= len(JOBS) + 1
    assert all(started[image] >= 1 for image in functions)
    assert not running(place)


def test_nothing_runs_on_when_the_command_is_ended(weekly_run: WeeklyRun, place: Place) -> None:
    """Ctrl-C and SIGKILL in the middle of a run leave no container, whichever job was running."""
    command = [sys.executable, str(ROOT / "cli"), "run", "--containers", "--state", str(place.state)]
    ways = (signal.SIGINT, signal.SIGKILL)
    commands = {
        way: subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for way in ways
    }
    wait_until(lambda: len(running(place)) == len(ways), seconds=300)
    for way, process in commands.items():
        process.send_signal(way)
    outputs = {way: process.communicate(timeout=120)[0] for way, process in commands.items()}
    wait_until(lambda: not running(place), seconds=60)

    assert commands[signal.SIGINT].returncode == 130, outputs[signal.SIGINT]
    assert commands[signal.SIGKILL].returncode == -signal.SIGKILL, outputs[signal.SIGKILL]
    assert not running(place)


def wait_until(reached: Any, seconds: float) -> None:
    """Wait until it is so; a test looks afterwards whether it is."""
    deadline = time.monotonic() + seconds
    while not reached() and time.monotonic() < deadline:
        time.sleep(0.1)
