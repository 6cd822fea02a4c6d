"""Settings of the jobs: environment variables of processing jobs, hyperparameters of the training job."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from treering.contracts import ModelPackageArn, RunId, S3Uri, Version
from treering.errors import ConfigurationError
from treering.names import SAGEMAKER_NAME
from treering.use_case import Model, UseCase

M = TypeVar("M", bound=BaseModel)
Name = Annotated[str, Field(pattern=f"^{SAGEMAKER_NAME.pattern}$")]


class Settings(BaseModel):
    """Base of all settings; a field is the variable of the same name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PreprocessSettings(Settings):
    """Of preprocess."""

    treering_use_case: str
    treering_run_id: RunId
    treering_dataset_version: Version


class EvaluateSettings(Settings):
    """Of evaluate. Errors are RMSE on the scale that the model learns."""

    treering_use_case: str
    treering_run_id: RunId
    treering_dataset_version: Version
    endpoint_name: Name
    model_data_url: S3Uri
    gate_max_error: float = Field(gt=0)
    gate_min_r2: float = Field(le=1)
    gate_max_worsening: float = Field(ge=0)
    gate_confidence: float = Field(gt=0.5, lt=1)


class DeployEndpointSettings(Settings):
    """Of deploy_endpoint."""

    treering_run_id: RunId
    treering_dataset_version: Version
    endpoint_name: Name
    model_name: Name  # also the name of the endpoint configuration
    model_package_arn: ModelPackageArn
    model_data_url: S3Uri
    model_role_arn: str = Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$")
    endpoint_instance_type: str = Field(pattern=r"^ml\.")
    endpoint_instance_count: int = Field(ge=1)
    deploy_timeout_seconds: float = Field(gt=0)  # without the waits of traffic shifting, which come on top
    keep_models: int = Field(ge=1)  # beside those in service
    traffic_shifting: Literal["ALL_AT_ONCE", "CANARY", "LINEAR"]
    traffic_step_percent: int = Field(ge=10, le=50)
    traffic_wait_seconds: int = Field(ge=0, le=3600)
    rollback_alarms: str  # names with commas between them, may be empty


class TestEndpointSettings(Settings):
    """Of test_endpoint."""

    __test__ = False  # not a test class, whatever its name

    treering_use_case: str
    treering_run_id: RunId
    treering_dataset_version: Version
    endpoint_name: Name
    endpoint_config_name: Name
    load_test_seconds: float = Field(ge=0, le=300)  # 0: none
    load_test_concurrency: int = Field(ge=1, le=64)
    load_test_max_p99_milliseconds: float = Field(gt=0)


class TrainSettings(Settings):
    """Hyperparameters of train, but for those that replace a setting of the use case's model."""

    use_case: str
    run_id: RunId
    dataset_version: Version


class TuneLimits(Settings):
    """How long tune may search, and how many trials at most."""

    max_seconds: float = Field(gt=0)
    max_trials: int = Field(ge=1, le=1000)


def read_tuning(given: Mapping[str, str]) -> tuple[TrainSettings, TuneLimits, dict[str, str]]:
    """Settings and limits of tune, and the remaining hyperparameters. Raises ConfigurationError."""
    limits = {name: value for name, value in given.items() if name in TuneLimits.model_fields}
    settings, rest = read_hyperparameters({name: value for name, value in given.items() if name not in limits})
    return settings, _validated(TuneLimits, limits), rest


def read_hyperparameters(given: Mapping[str, str]) -> tuple[TrainSettings, dict[str, str]]:
    """Settings of train, and the remaining hyperparameters. Raises ConfigurationError that names all that is wrong."""
    own = {name: value for name, value in given.items() if name in TrainSettings.model_fields}
    return _validated(TrainSettings, own), {name: value for name, value in given.items() if name not in own}


def model_settings(use_case: UseCase, overrides: Mapping[str, str]) -> Model:
    """Settings of the use case's model, with those that hyperparameters replace."""
    return _validated(Model, {**use_case.model.model_dump(), **overrides})


def _validated(model: type[M], given: Mapping[str, Any]) -> M:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        problems = "; ".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors(include_url=False))
        raise ConfigurationError(
            f"Hyperparameters are wrong: {problems}. Set them where the training job is defined, in statemachine/."
        ) from error
