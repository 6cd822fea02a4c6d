"""Jobs are killed, run out of memory, disk or time, get no instance, or are never created."""

from typing import Any

from tests.faults.definitions import job_limit, time_limit
from tests.faults.scenario import Scenario
from tests.faults.scenarios.runs import DEPLOY, JOBS, PREPROCESS, TEST, TRAIN, Fault, fails, survives
from tests.faults.stage import Stage

_GROUP = "jobs"
_FAILED = "States.TaskFailed"
_MIDDLE = {  # a moment at which the job is at work
    PREPROCESS: {"after_seconds": 0.6},
    TRAIN: {"when_log_says": "validation:mse"},
    DEPLOY: {"when_log_says": "Updating endpoint"},
    TEST: {"after_seconds": 0.6},
}


def _kill(state: str, when: object, times: int = 1) -> Fault:
    return {"kind": "kill", "target": "job", "name": JOBS[state], "when": when, "times": times}


def _about(kind: str, state: str, times: int = 2, **fields: object) -> Fault:
    return {"kind": kind, "name": JOBS[state], "times": times, **fields}


def _stopped(stage: Stage) -> None:
    """Somebody stops the execution while a job runs."""
    before = stage.clear(whole=True)
    bench = stage.bench
    arn = bench.started(bench.fire())
    bench.until(lambda: bench.jobs_under_way(), 60, "running job")
    bench.client("stepfunctions").stop_execution(executionArn=arn, error="Enough", cause="Stopped by hand")
    ended = bench.ended(arn)
    stage.require(*(() if (ended.status, ended.error) == ("ABORTED", "Enough") else (f"it ended {ended}",)))
    bench.until(lambda: not bench.jobs_under_way(), 60, "end of the jobs")
    stage.require(*stage.checker.problems(before))
    stage.run_again_alone(before, arn)


def _timed_out(stage: Stage) -> None:
    """The whole execution takes too long: no state is left to tell anybody, so an alarm does."""
    before = stage.clear(whole=True)
    bench = stage.bench
    bench.use_machine(whole=True, change=time_limit(2))
    arn = bench.started(bench.fire())
    ended = bench.ended(arn)
    stage.require(*(() if ended.status == "TIMED_OUT" else (f"it ended {ended}",)))
    alarm = bench.resource("TimedOutExecutionsAlarm")
    stage.wait_for_alarm(alarm)
    bench.until(lambda: not bench.jobs_under_way(), 60, "end of the jobs")
    stage.require(*stage.checker.problems(before))
    bench.use_machine(whole=True)
    stage.run_again_alone(before, arn, f"alarm {alarm}")


def _endless_training(definition: dict[str, Any]) -> None:
    time_limit(3, TRAIN)(definition)
    job_limit(60, TRAIN, n_estimators="4000")(definition)


_SECOND_TRY = "the second try of each succeeds; one model, tested"

SCENARIOS = (
    survives(
        "jobs-killed-at-start",
        _GROUP,
        "kill -9 of each job once, at its start",
        "each job",
        _SECOND_TRY,
        [_kill(state, "start") for state in JOBS],
        tries=list(JOBS),
    ),
    survives(
        "jobs-killed-in-the-middle",
        _GROUP,
        "kill -9 of each job once, while it is at work",
        "each job",
        _SECOND_TRY,
        [_kill(state, _MIDDLE[state]) for state in JOBS],
        tries=list(JOBS),
    ),
    survives(
        "jobs-killed-at-end",
        _GROUP,
        "kill -9 of each job once, when its work is done and nothing is uploaded",
        "each job",
        _SECOND_TRY,
        [_kill(state, "end") for state in JOBS],
        tries=list(JOBS),
    ),
    *(
        fails(
            f"job-killed-twice-{state.split()[0].lower()}",
            _GROUP,
            "kill -9 of the job and of its second try",
            state,
            "fails with the job's description",
            [_kill(state, _MIDDLE[state], times=2)],
            _FAILED,
            "exit code 137" if state != TRAIN else "AlgorithmError",
            endpoint="new" if state == TEST else "kept",
        )
        for state in (PREPROCESS, TRAIN, TEST)
    ),
    survives(
        "job-instance-lost",
        _GROUP,
        "the instances of two jobs are lost once",
        f"{PREPROCESS}, {TRAIN}",
        _SECOND_TRY,
        [_about("instance_lost", state, times=1, when=_MIDDLE[state]) for state in (PREPROCESS, TRAIN)],
        tries=[PREPROCESS, TRAIN],
    ),
    survives(
        "job-no-capacity-once",
        _GROUP,
        "no capacity for a job, a moment later there is",
        TEST,
        "the second try succeeds",
        [_about("capacity", TEST, times=1, target="job")],
        tries=[TEST],
    ),
    fails(
        "job-no-capacity",
        _GROUP,
        "no capacity for a job",
        TRAIN,
        "fails, the cause says CapacityError",
        [_about("capacity", TRAIN, target="job")],
        _FAILED,
        "CapacityError",
    ),
    fails(
        "job-out-of-memory",
        _GROUP,
        "a job needs more memory than there is",
        TRAIN,
        "fails, the cause says what to do",
        [_about("memory", TRAIN, megabytes=60)],
        _FAILED,
        "more memory",
    ),
    fails(
        "job-disk-full",
        _GROUP,
        "the disk of a job is full",
        PREPROCESS,
        "fails, the cause says so",
        [_about("volume", PREPROCESS, megabytes=1)],
        _FAILED,
        "No space left on device",
        prepare=lambda stage: stage.serve_larger(930),
    ),
    fails(
        "job-disk-too-small-for-inputs",
        _GROUP,
        "the disk of a job has no room for its inputs",
        PREPROCESS,
        "fails, the cause says so",
        [_about("volume", PREPROCESS, megabytes=1)],
        _FAILED,
        "Insufficient disk space",
        prepare=lambda stage: stage.serve_larger(1600),
    ),
    fails(
        "job-over-its-time",
        _GROUP,
        "a job runs longer than it may",
        TRAIN,
        "SageMaker stops it; fails",
        [],
        _FAILED,
        "Stopped",
        change=job_limit(2, TRAIN, n_estimators="4000"),
    ),
    fails(
        "state-over-its-time",
        _GROUP,
        "a state waits longer for its job than it may",
        TRAIN,
        "States.Timeout, its job is stopped",
        [],
        "States.Timeout",
        change=_endless_training,
    ),
    Scenario(
        "execution-over-its-time",
        _GROUP,
        "the execution takes longer than it may",
        "all states",
        "TIMED_OUT, its job is stopped, one alarm; run again, it succeeds",
        _timed_out,
    ),
    Scenario(
        "execution-stopped",
        _GROUP,
        "somebody stops the execution",
        "all states",
        "ABORTED, its job is stopped, nobody is told; run again, it succeeds",
        _stopped,
    ),
)
