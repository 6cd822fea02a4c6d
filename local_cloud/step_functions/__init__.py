"""Step Functions for the local cloud: AWS's API in front of moto's Amazon States Language engine.

`StepFunctionsService` is all that the rest of the local cloud needs; `Dependencies` says what it needs of the rest.
"""

from local_cloud.step_functions.dependencies import Dependencies
from local_cloud.step_functions.errors import ApiError
from local_cloud.step_functions.service import StepFunctionsService

__all__ = ["ApiError", "Dependencies", "StepFunctionsService"]
