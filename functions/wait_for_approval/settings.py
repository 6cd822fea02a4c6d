"""What the function is told through its environment, and the adapters built from it."""

import os
from functools import cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from treering.aws.model_registry import ModelRegistry
from treering.aws.s3 import Bucket
from treering.aws.step_functions import WaitingTasks
from treering.environment import read_environment


class Environment(BaseModel):
    """The function's environment variables, in capitals."""

    model_config = ConfigDict(frozen=True)

    data_bucket: Annotated[str, Field(min_length=1)]


@cache
def adapters() -> tuple[Bucket, ModelRegistry, WaitingTasks]:
    """Bucket, model registry and Step Functions."""
    settings = read_environment(Environment, os.environ)
    return Bucket(settings.data_bucket), ModelRegistry(), WaitingTasks()
