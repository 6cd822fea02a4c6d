"""What travels between the steps: one typed contract for each, as JSON in a state's input or beside the data.

The state machine passes references (S3 URIs, names), never data. Every contract of a run carries its run ID and the
dataset version.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from treering.deferred_model import DeferredModel
from treering.errors import InvalidEventError
from treering.keys import Split
from treering.names import RUN_ID

Version = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
RunId = Annotated[str, Field(pattern=f"^{RUN_ID.pattern}$")]
ModelPackageArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:\d{12}:model-package/[^/]+/\d+$")]
S3Uri = Annotated[str, Field(pattern=r"^s3://[^/]+/.*$")]


class Contract(DeferredModel):
    """Base of all contracts: immutable, and unknown members are refused."""

    model_config = ConfigDict(extra="forbid")

    def to_json(self) -> str:
        """Indented JSON for an object in S3, with a line break at the end."""
        return self.model_dump_json(indent=2) + "\n"


M = TypeVar("M", bound=BaseModel)


def parse_event(model: type[M], event: Any) -> M:
    """The event of a function as `model`. Raises InvalidEventError that names every member that is missing or wrong."""
    try:
        return model.model_validate(event)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in p['loc']) or 'the event'}: {p['msg']}" for p in error.errors()
        )
        raise InvalidEventError(f"This is no {model.__name__}: {problems}. See events/ for examples.") from error


class ScheduledEvent(DeferredModel):
    """The members of EventBridge's scheduled event that ingestion reads; others are allowed, as AWS may add some."""

    model_config = ConfigDict(extra="ignore")

    id: str
    time: AwareDatetime  # the scheduled instant, the same when the event is delivered twice


class DatasetRef(Contract):
    """Points to a dataset version."""

    name: str
    version: Version
    prefix_uri: S3Uri
    manifest_uri: S3Uri


class ExecutionInput(Contract):
    """Input of the state machine: what to learn from, and the instant of the schedule that asked for it."""

    dataset: DatasetRef
    scheduled_at: AwareDatetime


class FileRecord(Contract):
    """One file of a dataset version: object key, size in bytes, SHA-256 in hex; rows where it is a split."""

    key: str
    bytes: int
    sha256: str
    rows: int | None = None


class ColumnRecord(Contract):
    """One column as the validation saw it."""

    name: str
    type: str
    missing: int


class DatasetManifest(Contract):
    """Describes a dataset version; written last, so that its presence says that all of the version is there."""

    dataset: str
    version: Version
    use_case: str
    source: str  # URL of the download
    competition: str
    scheduled_at: AwareDatetime  # of the event that made this version, and for which it is trained on
    downloaded_at: datetime
    rows: dict[Split, int]
    columns: tuple[ColumnRecord, ...]
    split_salt: str
    split_shares: dict[Split, float]
    raw: tuple[FileRecord, ...]
    splits: dict[Split, FileRecord]


class IngestionRecord(Contract):
    """Ties an event of the schedule to a dataset version: the same event again means the same version."""

    dataset: str
    version: Version
    scheduled_at: AwareDatetime


class IngestResult(Contract):
    """What the ingest function answers."""

    dataset: DatasetRef
    new_version: bool
    execution_arn: str | None  # none where unchanged data are not to be trained on again
    execution_started: bool  # false where this event had started it already
    message: str


class CreateRunIdInput(DeferredModel):
    """Input of the run-ID function, taken from the state machine's context object."""

    model_config = ConfigDict(extra="forbid")

    execution_arn: str
    started_at: AwareDatetime


class CreateRunIdResult(Contract):
    """Answer of the run-ID function."""

    run_id: RunId


class StepResult(Contract):
    """Base of each job's `result.json`."""

    run_id: RunId
    dataset_version: Version


class FeatureRecord(Contract):
    """A feature, its relevance (see `treering.steps`), and how many values were missing in the training split."""

    name: str
    type: str
    relevance: float
    missing: int


class PreprocessResult(StepResult):
    """Result of preprocess: rows per split, features kept and left out, most relevant first."""

    rows: dict[Split, int]
    relevance_measure: str
    kept: tuple[FeatureRecord, ...]
    dropped: tuple[FeatureRecord, ...]


class RegressionMetrics(Contract):
    """Errors on one split. `rmse`, `mae` in the target's unit; `mse`, `rmse_log` on the scale that the model learns.

    rmse = sqrt(mean((y - p)^2)); mae = mean(|y - p|); r2 = 1 - sum((y - p)^2) / sum((y - mean(y))^2);
    rmse_log = sqrt(mean((ln y - ln p)^2)), none where the target is not on a log scale.
    """

    rows: int
    mse: float
    rmse: float
    mae: float
    r2: float
    rmse_log: float | None


class TrialRecord(Contract):
    """One regressor with one choice of settings, cross-validated on the training split."""

    regressor: str
    settings: dict[str, float]
    error: (
        float | None
    )  # mean RMSE over the folds, on the scale that the model learns; none where it was given up early
    r2: float | None
    seconds: float


class TuningRecord(Contract):
    """What a search tried, best first, what it chose, and why."""

    trials: tuple[TrialRecord, ...]
    chosen: TrialRecord
    why: str
    folds: int
    seconds: float


class TrainResult(StepResult):
    """Result of train and of tune (`metrics.json`): errors on the validation split, settings, and what was grown."""

    validation: RegressionMetrics
    training_rows: int
    features: tuple[str, ...]
    regressor: str = "random_forest"
    hyperparameters: dict[str, float]
    seconds: float
    tuning: TuningRecord | None = None  # of tune only


class DeployEndpointResult(StepResult):
    """Result of deploy_endpoint: the endpoint in service and the configuration it serves."""

    endpoint_name: str
    endpoint_config_name: str
    previous_endpoint_config_name: str | None
    model_name: str
    model_package_arn: ModelPackageArn
    model_data_url: S3Uri
    removed: tuple[str, ...]  # old models and endpoint configurations, beyond those that are kept
    action: str  # created, updated, recreated (was Failed), unchanged
    ended_experiment: str | None = None  # its endpoint configuration; the champion that it compared with is gone
    seconds: float


class Latency(Contract):
    """Latency of single-row requests in milliseconds, measured by the caller."""

    requests: int
    p50_ms: float
    p99_ms: float


class LoadTest(Contract):
    """A bounded load of single-row requests: how long, how many at a time, what came of it."""

    seconds: float
    concurrency: int
    requests: int
    errors: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float


class ExamplePrediction(Contract):
    """A row of the test split: what the endpoint predicted and what is true."""

    key: str
    predicted: float
    actual: float


class TestEndpointResult(StepResult):
    """Result of test_endpoint: the live endpoint's errors on the test split, agreement and latency."""

    __test__ = False  # not a test class, whatever its name

    endpoint_name: str
    endpoint_config_name: str
    test: RegressionMetrics
    largest_relative_difference: float  # between the endpoint's predictions and the artefact's own
    latency: Latency
    load: LoadTest | None  # none where none was asked for
    examples: tuple[ExamplePrediction, ...]


class ErrorInterval(Contract):
    """Difference of two models' errors on the same rows, new minus old, with a bootstrap interval.

    On the scale that the model learns; below 0 the new model is better.
    """

    estimate: float
    low: float
    high: float
    confidence: float  # share of the resamples between low and high
    resamples: int


class SegmentErrors(Contract):
    """Errors on the test rows of one segment: RMSE on the scale that the model learns."""

    column: str
    level: str
    rows: int
    challenger: float
    champion: float | None


class ModelErrors(Contract):
    """A model's run and its errors on the test split."""

    run_id: RunId
    model_data_url: S3Uri
    test: RegressionMetrics


class Importance(Contract):
    """How much the error on the test split grows when a feature's values are shuffled among the rows."""

    name: str
    increase: float


class GateThresholds(Contract):
    """What the quality gate asks for. Errors are RMSE on the scale that the model learns.

    `max_error`, `min_r2` hold for every model. Against a champion, the difference must be below 0 and the upper end of
    its interval, at `confidence`, at most `max_worsening`.
    """

    max_error: float = Field(gt=0)
    min_r2: float = Field(le=1)
    max_worsening: float = Field(ge=0)
    confidence: float = Field(gt=0.5, lt=1)


class Verdict(StepResult):
    """What the quality gate says, small enough for a state's input (`verdict.json`)."""

    passed: bool
    reasons: tuple[str, ...]  # one sentence each, with numbers; why it passed or why it did not
    summary: str  # the reasons as one text, for a notification
    above_floor: bool  # whether the absolute thresholds are reached
    first_model: bool  # no model in service to compare with
    error: float  # RMSE on the scale that the model learns
    champion_error: float | None
    difference: ErrorInterval | None


class EvaluateResult(StepResult):
    """Result of evaluate: the new model (challenger) and the one in service (champion) on the same test split."""

    thresholds: GateThresholds
    verdict: Verdict
    challenger: ModelErrors
    champion: ModelErrors | None
    champion_note: str | None  # why a champion in service could not be compared
    segments: tuple[SegmentErrors, ...]
    importance: tuple[Importance, ...]  # the most important first


class ApprovalRequest(Contract):
    """Input of the function that lets an execution wait for the approval of a model package."""

    task_token: str = Field(min_length=1)
    model_package_arn: ModelPackageArn
    run_id: RunId
    execution_arn: str


class ApprovalToken(Contract):
    """Ties a model package to the task that waits for its approval (`approvals/<group>/<version>.json`)."""

    task_token: str
    model_package_arn: ModelPackageArn
    run_id: RunId
    execution_arn: str


class ApprovalDecision(Contract):
    """What the waiting task is answered."""

    decision: Literal["Approved", "Rejected"]
    comment: str  # what the person who decided wrote, if anything
    model_package_arn: ModelPackageArn


class ModelPackageDetail(DeferredModel):
    """The members of a change of a model package that are read here; AWS sends more."""

    model_config = ConfigDict(extra="ignore")

    model_package_arn: ModelPackageArn = Field(alias="ModelPackageArn")
    approval_status: str = Field(alias="ModelApprovalStatus")
    approval_description: str = Field(alias="ApprovalDescription", default="")


class ModelPackageEvent(DeferredModel):
    """EventBridge's event "SageMaker Model Package State Change"."""

    model_config = ConfigDict(extra="ignore")

    id: str
    detail: ModelPackageDetail


class ApprovalResult(Contract):
    """What the approval functions answer: whether a waiting execution was resumed by this call, and a sentence."""

    resumed: bool
    message: str


class RolloutInput(Contract):
    """Input of the rollout: which approved model, under which ID, how far, and whether it tells people itself."""

    rollout_id: RunId
    run_id: RunId
    dataset: DatasetRef
    model_package_arn: ModelPackageArn
    model_data_url: S3Uri
    target: Literal["staging", "production"] = "production"  # staging: its tests only, before an experiment
    notify: Literal["true", "false"]
