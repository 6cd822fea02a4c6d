"""One job's work through its own code, measured.

    python -m tests.benchmarks.job_once {preprocess,train,evaluate} ROOT [HYPERPARAMETER=VALUE …]

ROOT is laid out as SageMaker's /opt/ml of that job, inputs included.
"""

import importlib
import json
import sys
from pathlib import Path

from sagemaker_jobs.runner import Job
from tests.benchmarks.dataset_at_size import ENVIRONMENT
from tests.benchmarks.peers.usage import report

_EVALUATE = {
    "ENDPOINT_NAME": "benchmark",
    "MODEL_DATA_URL": "s3://benchmark/model.tar.gz",
    "GATE_MAX_ERROR": "9",
    "GATE_MIN_R2": "0",
    "GATE_MAX_WORSENING": "0",
    "GATE_CONFIDENCE": "0.95",
}


class NoModel:
    """Nothing is in service yet."""

    def find(self, endpoint_name: str) -> None:
        """None."""

    def fetch(self, champion: object, path: Path) -> None:
        """Never called."""


def main() -> None:
    """Do it, and report."""
    name, root = sys.argv[1], Path(sys.argv[2])
    work = importlib.import_module(f"sagemaker_jobs.{name}.job").work
    if name == "train":
        given = {"use_case": ENVIRONMENT["TREERING_USE_CASE"], "run_id": ENVIRONMENT["TREERING_RUN_ID"]}
        given |= {"dataset_version": ENVIRONMENT["TREERING_DATASET_VERSION"]}
        given |= dict(pair.split("=") for pair in sys.argv[3:])
        path = root / "input/config/hyperparameters.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(given))
    job = Job(root, {**ENVIRONMENT, **(_EVALUATE if name == "evaluate" else {})})
    report(message=work(job, NoModel()) if name == "evaluate" else work(job))


if __name__ == "__main__":
    main()
