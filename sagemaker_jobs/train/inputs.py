"""What train and tune learn from: their channels, checked."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sagemaker_jobs.runner import Job
from treering.errors import InvalidDataError
from treering.steps import artefact
from treering.steps.prepared import read_prepared
from treering.steps.preprocessing import Preprocessing


@dataclass(frozen=True)
class Inputs:
    """Features, shape (rows, features), and targets in their own unit, shape (rows,), of both splits."""

    preprocessing: Preprocessing
    matrix: NDArray[np.float64]
    target: NDArray[np.float64]
    held_out: NDArray[np.float64]
    actual: NDArray[np.float64]


def read_inputs(job: Job, run_id: str, dataset_version: str) -> Inputs:
    """Channels train, validation, preprocessing. Raises InvalidDataError if they are not of this run and version."""
    path = job.channel("preprocessing") / artefact.PREPROCESSING
    if not path.is_file():
        raise InvalidDataError(f"The channel preprocessing has no {path.name}. It is an output of preprocess.")
    preprocessing = Preprocessing.from_json(path.read_bytes(), path.name)
    if (preprocessing.run_id, preprocessing.dataset_version) != (run_id, dataset_version):
        raise InvalidDataError(
            f"The preprocessing is of run {preprocessing.run_id} and dataset version {preprocessing.dataset_version}, "
            f"but this is run {run_id} on {dataset_version}. Check the channel preprocessing."
        )
    matrix, target = read_prepared(job.channel("train") / "train.csv", preprocessing)
    held_out, actual = read_prepared(job.channel("validation") / "validation.csv", preprocessing)
    return Inputs(preprocessing, matrix, target, held_out, actual)
