"""What the ingest function is told through its environment, and the step built from it."""

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from treering import use_case
from treering.aws.s3 import Bucket
from treering.aws.secrets import Secrets
from treering.aws.step_functions import StateMachine
from treering.environment import read_environment
from treering.kaggle import Credentials, KaggleClient
from treering.steps.ingestion import Ingestion

_Name = Annotated[str, Field(min_length=1)]


class Environment(BaseModel):
    """The function's environment variables, in capitals."""

    model_config = ConfigDict(frozen=True)

    data_bucket: _Name
    kaggle_secret_arn: _Name
    data_source_base_url: Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$")]
    competition: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9-]*)?$")]  # empty: the use case's
    use_case: _Name
    state_machine_arn: _Name
    retrain_on_unchanged_data: bool  # "true" or "false"


@cache
def environment() -> Environment:
    """The environment, read and checked once in the life of an execution environment."""
    return read_environment(Environment, os.environ)


@cache
def _clients(bucket: str, state_machine_arn: str) -> tuple[Bucket, StateMachine, Secrets]:
    return Bucket(bucket), StateMachine(state_machine_arn), Secrets()


def ingestion() -> Ingestion:
    """The step with everything it needs. Reads the credentials anew, so that a changed secret counts at once."""
    settings = environment()
    bucket, state_machine, secrets = _clients(settings.data_bucket, settings.state_machine_arn)
    what = use_case.load(settings.use_case)
    credentials = Credentials.parse(secrets.read(settings.kaggle_secret_arn), settings.kaggle_secret_arn)
    return Ingestion(
        use_case=what,
        competition=settings.competition or what.source.competition,
        source=KaggleClient(settings.data_source_base_url, credentials),
        bucket=bucket,
        executions=state_machine,
        workspace=Path(tempfile.gettempdir()) / "ingest",  # /tmp is all that a Lambda function may write to
        retrain_on_unchanged_data=settings.retrain_on_unchanged_data,
    )
