"""Jobs are killed, run out of memory, disk or time, get no instance; executions are stopped or run out of time."""

from collections.abc import Sequence
from typing import Any

from tests.faults.definitions import job_limit, time_limit
from tests.faults.scenario import Scenario
from tests.faults.scenarios.runs import (
    DEPLOY,
    DEPLOY_STAGING,
    ENDPOINT,
    EVALUATE,
    FOR_EVER,
    JOBS,
    PREPROCESS,
    RUN_ID,
    TEST,
    TEST_STAGING,
    TRAIN,
    TRIED_TWICE,
    Failed,
    Fault,
    Survived,
    answer_lost,
    api_error,
    fail,
    survive,
)
from tests.faults.stage import Stage

_GROUP = "jobs"
_FAILED = "States.TaskFailed"
_AT_WORK = {"after_seconds": 0.15}  # sooner than the fastest job has ended: starting takes longer
_MIDDLE = {  # a moment at which the job is at work
    **dict.fromkeys(JOBS, _AT_WORK),
    TRAIN: {"when_log_says": "validation:mse"},
    DEPLOY_STAGING: {"when_log_says": "Creating endpoint"},
    DEPLOY: {"when_log_says": " is Updating ("},  # SageMaker has taken the update by then
}
_MANY_TREES = {"n_estimators": "40000"}  # more than any machine grows in three seconds


def _kill(state: str, when: object, times: int = 1) -> Fault:
    return {"kind": "kill", "target": "job", "name": JOBS[state], "when": when, "times": times}


def _about(kind: str, state: str, times: int = 2, **fields: object) -> Fault:
    return {"kind": kind, "name": JOBS[state], "times": times, **fields}


def _all_killed(name: str, fault: str, moments: Sequence[tuple[str, object]]) -> tuple[Scenario, ...]:
    row = Survived(
        name,
        f"kill -9 of each job once, {fault}",
        "each job but Deploy Endpoint",
        "the second try of each succeeds; one model, tested",
        [_kill(state, when) for state, when in moments],
        TRIED_TWICE,
    )
    return survive(_GROUP, row)


def _endless_training(definition: dict[str, Any]) -> None:
    time_limit(3, TRAIN)(definition)
    job_limit(60, TRAIN, **_MANY_TREES)(definition)


def _ended_early(stage: Stage) -> None:
    """An execution that somebody stops, the same again that takes too long, and again."""
    before = stage.clear(whole=True)
    bench = stage.bench
    arn = stage.begin()
    bench.until(bench.jobs_under_way, 60, "running job")
    bench.client("stepfunctions").stop_execution(executionArn=arn, error="Enough", cause="Stopped by hand")
    stopped = bench.ended(arn)
    stage.require(*(() if (stopped.status, stopped.error) == ("ABORTED", "Enough") else (f"it ended {stopped}",)))
    stage.require(*stage.checker.problems(before))
    bench.use_machine(whole=True, change=time_limit(2))
    late = bench.ended(bench.start_again(arn, "late"))
    stage.require(*(() if late.status == "TIMED_OUT" else (f"it ended {late}",)))
    alarm = bench.resource("TimedOutExecutionsAlarm")
    stage.wait_for_alarm(alarm)
    stage.require(*stage.checker.problems(before))
    bench.use_machine(whole=True)
    stage.run_again_alone(before, arn, f"alarm {alarm}")


SCENARIOS = (
    *_all_killed("jobs-killed-at-start", "at its start", [(state, "start") for state in TRIED_TWICE]),
    *_all_killed("jobs-killed-in-the-middle", "while it is at work", [(s, _MIDDLE[s]) for s in TRIED_TWICE]),
    *_all_killed(
        "jobs-killed-at-end", "when its work is done and nothing is uploaded", [(s, "end") for s in TRIED_TWICE]
    ),
    *survive(
        _GROUP,
        Survived(
            "run-id-function-killed",
            "kill -9 of the run-ID function once",
            RUN_ID,
            "the second try gives the same run ID",
            [{"kind": "kill", "target": "function", "name": "*-create-run-id", "when": "start"}],
        ),
        Survived(
            "sagemaker-answer-lost",
            "a job is created, but the answer is lost",
            PREPROCESS,
            "created again under another name; the first one ends by itself",
            [answer_lost("sagemaker", "CreateProcessingJob", "-preprocess-")],
        ),
        Survived(
            "sagemaker-quota",
            "a quota of SageMaker is used up for the moment",
            TRAIN,
            "tried again under another name",
            [api_error("sagemaker", "CreateTrainingJob", "ResourceLimitExceeded", 400)],
        ),
        Survived(
            "job-instance-lost",
            "the instance of a job is lost",
            DEPLOY_STAGING,
            "the second try succeeds",
            [_about("instance_lost", DEPLOY_STAGING, times=1, when=_AT_WORK)],
        ),
        Survived(
            "job-no-capacity-once",
            "no capacity for a job, a moment later there is",
            EVALUATE,
            "the second try succeeds",
            [_about("capacity", EVALUATE, times=1, target="job")],
        ),
        Survived(
            "job-memory-once",
            "a job is killed for its memory once",
            TEST_STAGING,
            "the second try succeeds",
            [_about("memory", TEST_STAGING, times=1, megabytes=30)],
        ),
    ),
    *fail(
        _GROUP,
        Failed(
            "job-killed-twice",
            "kill -9 of the job and of its second try",
            PREPROCESS,
            "fails with the job's description",
            [_kill(PREPROCESS, _AT_WORK, times=2)],
            _FAILED,
            ["exit code 137"],
        ),
        Failed(
            "training-killed-twice",
            "kill -9 of the job and of its second try",
            TRAIN,
            "fails with the job's description",
            [_kill(TRAIN, _MIDDLE[TRAIN], times=2)],
            _FAILED,
            ["AlgorithmError"],
        ),
        Failed(
            "job-no-capacity",
            "no capacity for a job",
            TRAIN,
            "fails, the cause says CapacityError",
            [_about("capacity", TRAIN, target="job")],
            _FAILED,
            ["CapacityError"],
        ),
        Failed(
            "job-out-of-memory",
            "a job needs more memory than there is",
            TRAIN,
            "fails, the cause says what to do",
            [_about("memory", TRAIN, megabytes=60)],
            _FAILED,
            ["more memory"],
        ),
        Failed(
            "job-over-its-time",
            "a job runs longer than it may",
            TRAIN,
            "SageMaker stops it; fails",
            [],
            _FAILED,
            ["Stopped"],
            change=job_limit(2, TRAIN, **_MANY_TREES),
        ),
        Failed(
            "state-over-its-time",
            "a state waits longer for its job than it may",
            TRAIN,
            "States.Timeout, its job is stopped",
            [],
            "States.Timeout",
            change=_endless_training,
        ),
        Failed(
            "sagemaker-fails-for-ever",
            "SageMaker fails to create a job",
            TRAIN,
            "fails after three tries",
            [api_error("sagemaker", "CreateTrainingJob", "InternalFailure", 500, FOR_EVER)],
            "SageMaker.AmazonSageMakerException",
            ["InternalFailure"],
        ),
        Failed(
            "evaluation-killed-twice",
            "kill -9 of the job and of its second try",
            EVALUATE,
            "fails with the job's description",
            [_kill(EVALUATE, _AT_WORK, times=2)],
            _FAILED,
            ["exit code 137"],
        ),
        Failed(
            "staging-test-killed-twice",
            "kill -9 of the job and of its second try",
            TEST_STAGING,
            "fails with the state and SageMaker's reason, the staging endpoint is removed",
            [_kill(TEST_STAGING, _AT_WORK, times=2)],
            _FAILED,
            ["exit code 137", "test-staging"],
        ),
        Failed(
            "deployment-killed",
            "kill -9 of the job while it updates the endpoint",
            DEPLOY,
            "fails at once: an update is not tried again",
            [_kill(DEPLOY, _MIDDLE[DEPLOY])],
            _FAILED,
            ["exit code 137", "deploy-endpoint"],
            endpoint="new",
        ),
        Failed(
            "test-killed-twice",
            "kill -9 of the job and of its second try",
            TEST,
            "fails with the state and SageMaker's reason",
            [_kill(TEST, _AT_WORK, times=2)],
            _FAILED,
            ["exit code 137", "test-endpoint"],
            endpoint="new",
        ),
        Failed(
            "endpoint-answers-wrong",
            "the endpoint answers what the model does not say",
            TEST,
            "fails and says how the endpoint answers",
            [{"kind": "answer", "name": ENDPOINT, "body": "123456\n", "content_type": "text/csv", "times": None}],
            _FAILED,
            ["answered 1 predictions for"],
            endpoint="new",
            quiet=True,  # everybody would be answered the same, and rightly complain
        ),
    ),
    *fail(
        _GROUP,
        Failed(
            "job-disk-too-small-for-inputs",
            "the disk of a job has no room for its inputs",
            PREPROCESS,
            "fails, the cause says so",
            [_about("volume", PREPROCESS, megabytes=1)],
            _FAILED,
            ["Insufficient disk space"],
        ),
        Failed(
            "job-disk-full",
            "the disk of a job is full",
            PREPROCESS,
            "fails, the cause names the parameter to raise",
            [_about("volume", PREPROCESS, megabytes=2)],
            _FAILED,
            ["No space left on device", "JobVolumeSizeInGB"],
        ),
        prepare=lambda stage: stage.serve_larger(1950),
    ),
    Scenario(
        "execution-stopped",
        _GROUP,
        "somebody stops the execution",
        "all states",
        "ABORTED, its job is stopped, nobody is told; run again, it succeeds",
        _ended_early,
    ),
    Scenario(
        "execution-over-its-time",
        _GROUP,
        "the execution takes longer than it may",
        "all states",
        "TIMED_OUT, its job is stopped, one alarm; run again, it succeeds",
        _ended_early,
    ),
)
