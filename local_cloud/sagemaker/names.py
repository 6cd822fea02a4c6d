"""The kinds of resources, their ARNs, and AWS's words for those that are missing or exist already."""

from dataclasses import dataclass

from local_cloud.sagemaker.errors import ServiceError, invalid


@dataclass(frozen=True)
class Kind:
    """A kind of resource: `noun` in the names of operations, `arn_type` in ARNs, `words` in messages."""

    noun: str
    arn_type: str
    words: str

    @property
    def name_member(self) -> str:
        """The member that holds a resource's name."""
        return f"{self.noun}Name"

    @property
    def arn_member(self) -> str:
        """The member that holds a resource's ARN."""
        return f"{self.noun}Arn"

    def arn(self, region: str, account_id: str, name: str) -> str:
        """The ARN; SageMaker writes names in lower case there."""
        return f"arn:aws:sagemaker:{region}:{account_id}:{self.arn_type}/{name.lower()}"


PROCESSING_JOB = Kind("ProcessingJob", "processing-job", "job")
TRAINING_JOB = Kind("TrainingJob", "training-job", "training job")
MODEL = Kind("Model", "model", "model")
ENDPOINT_CONFIG = Kind("EndpointConfig", "endpoint-config", "endpoint configuration")
ENDPOINT = Kind("Endpoint", "endpoint", "endpoint")
KINDS = (PROCESSING_JOB, TRAINING_JOB, MODEL, ENDPOINT_CONFIG, ENDPOINT)


def missing(kind: Kind, name: str, arn: str) -> ServiceError:
    """The error for a resource that does not exist. SageMaker words it differently for each kind."""
    if kind is PROCESSING_JOB:
        return invalid(f"Could not find requested job with name: {name}")
    if kind is TRAINING_JOB:
        return invalid("Requested resource not found.")
    return invalid(f'Could not find {kind.words} "{arn}".')


def exists_already(kind: Kind, arn: str) -> ServiceError:
    """The error for a name that is taken. Names of jobs are taken for ever: jobs cannot be deleted."""
    if kind is PROCESSING_JOB:
        return ServiceError(
            "ResourceInUse",
            "Job name must be unique within an AWS account and region, and a job with this name already exists "
            f"({arn})",
        )
    if kind is TRAINING_JOB:
        return ServiceError(
            "ResourceInUse",
            "Training job names must be unique within an AWS account and region, and a training job with this name "
            f"already exists ({arn})",
        )
    return invalid(f'Cannot create already existing {kind.words} "{arn}".')
