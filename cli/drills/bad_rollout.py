"""The drills of rollouts: a better model comes, and turns out to be slow, to crash, or never to start, in production.

The fault strikes the new endpoint configuration's containers only, and only behind the endpoint in production: staging
was fine, as it may be where a model meets production's data or load for the first time.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cli import failures, registry, rollouts
from cli.bakes import Bakes
from cli.display import step
from cli.drills.scene import Drill, Scene, Service
from cli.drills.trial import MakeFault, Trial
from cli.errors import CommandError

ALARMS = ("EndpointErrorsAlarm", "EndpointLatencyAlarm")  # the template's
QUIET_MINUTES = 5  # after which an alarm with one period of a minute has forgotten the bad update
QUIET_SECONDS = 30.0  # real time, for the alarms to see that


@dataclass(frozen=True)
class BadRollout:
    """What goes wrong with the new model, and by what the update is to end."""

    wrong: str  # for people
    fault: MakeFault
    alarm: str | None  # of the template, that is to roll it back
    words: tuple[str, ...] = ()  # of the cause; one of them where there is no alarm, or instead of the alarm
    fails: bool = False  # whether its answers are failures; if not, no caller may see one
    parameters: dict[str, str] = field(default_factory=dict)

    def drill(self) -> Drill:
        """The drill that shows it."""
        shifting = {
            "TrafficShifting": "CANARY",
            "EndpointInstanceCount": "2",
            "TrafficWaitSeconds": "600",
            "DeployTimeoutSeconds": "300",  # less than the waits, which come on top
        }
        return Drill(weeks=2, parameters=shifting | self.parameters, run=self.run)

    def run(self, scene: Scene) -> None:
        """Bring a model into service, let the update to a better one go wrong, then let it go well."""
        scene.good_week()
        before = scene.service()
        trial = Trial(scene, self.fault)
        try:
            done = scene.week(" (week 2)", trial.meanwhile)
            trial.end()
        finally:
            trial.traffic.stop()
        if done.model_package_arn is None:
            reasons = " ".join(done.evaluate.verdict.reasons) if done.evaluate else "it did not come so far"
            raise CommandError(f"The drill needs a better model in its second week: {reasons}")
        with scene.checks.during(self.wrong):
            self._check_rollback(scene, trial, before, done.execution_arn)
        scene.found.cloud.disarm()
        version = registry.find(registry.versions(scene.found), done.model_package_arn)
        with scene.checks.during("again"):
            self._retry(scene, version, before)

    def _check_rollback(self, scene: Scene, trial: Trial, before: Service, arn: str) -> None:
        checks, alarm = scene.checks, self._alarm_name(scene)
        execution = scene.read(arn)
        state, error, cause = failures.words(execution)
        causes = [*([alarm] if alarm else []), *self.words]
        named = next((word for word in causes if word in cause), "")
        checks.add(
            "execution",
            f"failed in {rollouts.DEPLOYED_BY}, by {' or '.join(causes)}",
            f"failed in {state}: {error}: {cause}" if execution.status == "failed" else execution.status,
            execution.status == "failed" and state == rollouts.DEPLOYED_BY and bool(named),
        )
        if alarm and named == alarm:
            gone_off = trial.events.alarms()
            checks.add("alarm", f"{alarm} in ALARM", ", ".join(gone_off) or "none", alarm in gone_off)
        statuses = trial.events.statuses()
        expected = ["UPDATING", "ROLLING_BACK", "IN_SERVICE"]
        checks.add("endpoint's statuses", ", ".join(expected), ", ".join(statuses) or "none", statuses == expected)
        scene.check_told(arn, "failed", naming=named)
        scene.check_unchanged(before)
        until, after = trial.counted(before.predictions)
        percent = int(scene.found.stack.parameters["TrafficStepPercent"])
        affected = until.other + until.failed
        checks.add(
            "callers meanwhile",
            f"at most {percent} % meet the new model" + ("" if self.fails else ", none fails"),
            str(until),
            until.old > 0 and affected * 100 <= percent * until.all and (self.fails or not until.failed),
        )
        checks.add(
            "callers afterwards",
            "all are answered by the model in service",
            str(after),
            after.all == after.old > 0 and trial.hits() == trial.hits_when_settled > 0,
        )

    def _retry(self, scene: Scene, version: registry.ModelVersion, before: Service) -> None:
        """Roll the same version out once more, now that nothing is wrong with it."""
        wait_for_quiet(scene)
        arn = rollouts.start(scene.found, version, "rollout", datetime.now(UTC))
        bakes = Bakes(scene.found.cloud, scene.board, advance=True)
        execution = scene.follow(arn, " (again)", bakes.pass_on)
        told = "" if execution.status == "succeeded" else ": ".join(failures.words(execution))
        scene.checks.add("rollout", "succeeded", f"{execution.status} {told}".strip(), execution.status == "succeeded")
        now = scene.service()
        scene.checks.add(
            "endpoint",
            f"InService with version {version.version}, which answers otherwise than version {before.version}",
            f"{now}; {sum(a != b for a, b in zip(now.predictions, before.predictions, strict=True))} of "
            f"{len(now.predictions)} predictions differ",
            now.status == "InService" and now.version == version.version and now.predictions != before.predictions,
        )
        scene.check_told(arn, "deployed")

    def _alarm_name(self, scene: Scene) -> str:
        return scene.found.stack.resources[self.alarm][1] if self.alarm else ""


def wait_for_quiet(scene: Scene) -> None:
    """Let the cloud's time pass until no alarm that would roll the next update back is in ALARM any more."""
    cloud, stack = scene.found.cloud, scene.found.stack
    names = [stack.resources[alarm][1] for alarm in ALARMS]
    with step(scene.board, "Alarms are quiet again") as say:
        cloud.move_clock(cloud.now() + timedelta(minutes=QUIET_MINUTES))
        deadline = time.monotonic() + QUIET_SECONDS
        while True:
            described = cloud.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
            states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in described}
            say(", ".join(f"{name} {state}" for name, state in states.items()))
            if "ALARM" not in states.values() or time.monotonic() > deadline:
                return
            time.sleep(0.2)


def _slow(endpoint: str, config: str) -> dict[str, Any]:
    return {"kind": "answer", "name": endpoint, "config": config, "seconds": 1.5, "times": None}


def _crashing(endpoint: str, config: str) -> dict[str, Any]:
    when = {"after_seconds": 8}  # by then it is healthy and has traffic, on all but a very busy machine
    return {"kind": "kill", "target": "endpoint", "name": endpoint, "config": config, "when": when, "times": None}


def _stuck(endpoint: str, config: str) -> dict[str, Any]:
    return {"kind": "ping", "name": endpoint, "config": config, "give_up_seconds": 45, "times": None}


SLOW = BadRollout("slow model", _slow, "EndpointLatencyAlarm").drill()
CRASHING = BadRollout(
    "crashing model",
    _crashing,
    "EndpointErrorsAlarm",
    words=(
        "did not pass the ping health check",  # where it is killed before it was healthy
        "EndpointLatencyAlarm",  # where who asks it just then waits for its next life, before any is refused
    ),
    fails=True,
).drill()
STUCK = BadRollout(
    "stuck model",
    _stuck,
    None,
    words=("at the deadline",),
    parameters={"DeployTimeoutSeconds": "30", "TrafficWaitSeconds": "0"},  # the deadline passes in real time
).drill()
