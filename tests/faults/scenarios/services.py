"""AWS's services throttle, fail, are slow, or lose an answer."""

from collections.abc import Sequence

from tests.faults.scenario import Scenario
from tests.faults.scenarios.endpoint import STAGING_LATE
from tests.faults.scenarios.ingestion import fails as ingestion_fails
from tests.faults.scenarios.runs import (
    EVALUATE,
    FOR_EVER,
    NOTIFY,
    PREPROCESS,
    RUN_ID,
    TRAIN,
    Fault,
    Survived,
    answer_lost,
    api_error,
    survive,
)
from tests.faults.stage import Stage

_GROUP = "services"


def _topic_fails(stage: Stage) -> None:
    """Nobody can be told, neither of the success nor of that."""
    before = stage.clear(whole=True)
    bench = stage.bench
    bench.arm(api_error("sns", "Publish", "InternalError", 500, FOR_EVER))
    arn = stage.begin()
    ended = bench.ended(arn)
    stage.struck()
    stage.require(
        *(() if (ended.status, ended.error[:4]) == ("FAILED", "SNS.") else (f"it ended {ended}",)),
        *stage.checker.problems(before),
    )
    stage.rolls_out_again(before, arn, failed=0)


def _ingests(name: str, fault: str, expected: str, faults: Sequence[Fault]) -> Scenario:
    def play(stage: Stage) -> None:
        before = stage.clear(whole=False)
        stage.bench.arm(*faults)
        stage.ingestion_succeeds(before)
        stage.struck()

    return Scenario(name, _GROUP, fault, "Ingest", expected, play, ingestion=True)


SCENARIOS = (
    _ingests(
        "s3-throttles",
        "S3 throttles writes (503 SlowDown), then not",
        "the SDK tries again; one version",
        [api_error("s3", "PutObject", "SlowDown", 503, times=3)],
    ),
    _ingests(
        "s3-503",
        "S3 answers 503 to reads and writes, then not",
        "the SDK tries again; one version",
        [api_error("s3", action, "ServiceUnavailable", 503, times=2) for action in ("GetObject", "PutObject")],
    ),
    ingestion_fails(
        "s3-throttles-for-ever",
        _GROUP,
        "S3 throttles writes for ever",
        "TransientError that names the object",
        lambda stage: stage.bench.arm(api_error("s3", "PutObject", "SlowDown", 503, FOR_EVER, match="/raw/")),
        "SlowDown",
        "Trying again later may help",
        waits=True,
    ),
    ingestion_fails(
        "s3-fails-at-the-manifest",
        _GROUP,
        "S3 fails for ever when all is written but the manifest",
        "TransientError; no reader sees the version",
        lambda stage: stage.bench.arm(
            api_error("s3", "PutObject", "InternalError", 500, FOR_EVER, match="manifest.json")
        ),
        "manifest.json",
        "Trying again later may help",
        one_try=True,
    ),
    _ingests(
        "s3-slow",
        "S3 takes two seconds for each write",
        "takes longer, succeeds",
        [{"kind": "api_delay", "service": "s3", "action": "PutObject", "seconds": 1, "times": 3}],
    ),
    _ingests(
        "s3-answer-lost",
        "S3 has written, but its answer is lost: splits and manifest",
        "the SDK asks again and hears that it exists; one version",
        [answer_lost("s3", "PutObject", "train.csv"), answer_lost("s3", "PutObject", "manifest.json")],
    ),
    _ingests(
        "start-execution-answer-lost",
        "the execution is started, but the answer is lost",
        "asked again by the same name; one execution",
        [answer_lost("states", "StartExecution")],
    ),
    ingestion_fails(
        "start-execution-fails-for-ever",
        _GROUP,
        "Step Functions fails for ever",
        "TransientError; the version is there, the event sent again trains on it",
        lambda stage: stage.bench.arm(api_error("states", "StartExecution", "InternalFailure", 500, FOR_EVER)),
        "start the execution",
        versions=1,
        one_try=True,
    ),
    ingestion_fails(
        "secrets-manager-fails",
        _GROUP,
        "Secrets Manager fails for ever",
        "TransientError that names the secret",
        lambda stage: stage.bench.arm(
            api_error("secretsmanager", "GetSecretValue", "InternalServiceError", 500, FOR_EVER)
        ),
        "read the secret",
        "Trying again later may help",
        one_try=True,
    ),
    *survive(
        _GROUP,
        Survived(
            "lambda-throttles",
            "Lambda throttles the run-ID function",
            RUN_ID,
            "tried again",
            [api_error("lambda", "Invoke", "TooManyRequestsException", 429, match="create-run-id")],
        ),
        Survived(
            "s3-fails-under-a-job",
            "S3 fails while a job's inputs are copied",
            PREPROCESS,
            "the job fails, its second try succeeds",
            [api_error("s3", "GetObject", "InternalError", 500, 6, match="/train.csv")],
        ),
        Survived(
            "s3-fails-under-an-upload",
            "S3 fails while a job's results are stored",
            TRAIN,
            "the job fails, its second try succeeds; no half model",
            [api_error("s3", "PutObject", "InternalError", 500, 6, match="model.tar.gz")],
        ),
        Survived(
            "sagemaker-throttles",
            "SageMaker throttles the creation of a job",
            EVALUATE,
            "tried again under another name",
            [api_error("sagemaker", "CreateProcessingJob", "ThrottlingException", 400, match="-evaluate-")],
        ),
        Survived(
            "sns-fails-once",
            "the topic fails once",
            NOTIFY,
            "tried again; people are told once",
            [api_error("sns", "Publish", "InternalError", 500)],
        ),
        STAGING_LATE,
    ),
    Scenario(
        "sns-fails-for-ever",
        _GROUP,
        "the topic fails for ever",
        "Notify Success, Notify Failure",
        "fails with SNS's error, the new model is in service, nobody can be told; rolled out again, they are",
        _topic_fails,
    ),
)
