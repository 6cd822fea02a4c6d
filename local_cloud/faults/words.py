"""What SageMaker says of failures that a program has no part in.

The API reference describes FailureReason, not its texts. These are the texts as users of AWS have recorded them in
programs that compare or classify them.
"""

NO_CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type."
)
NO_CAPACITY_FOR_ENDPOINT = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please retry using a "
    "different ML instance type or after some time."
)
INTERNAL_ERROR = "InternalServerError: We encountered an internal error.  Please try again."  # two blanks, as there
OUT_OF_MEMORY = (
    "ClientError: Please use an instance type with more memory, or reduce the size of job data processed on an "
    "instance."
)
NO_SPACE_FOR_INPUTS = "ClientError: Data download failed:Insufficient disk space"
