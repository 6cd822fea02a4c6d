"""The program `serve`: the model of /opt/ml/model over HTTP, on port 8080 or SAGEMAKER_BIND_TO_PORT."""

import logging
import signal
import sys

import uvicorn

from sagemaker_jobs.runner import Job
from sagemaker_jobs.serve.app import App
from treering.errors import TreeringError
from treering.steps.artefact import Artefact

log = logging.getLogger(__name__)


def main(job: Job | None = None) -> None:
    """Load the model, then serve until SIGTERM."""
    job = job or Job()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    # uvicorn ends its work on SIGTERM and then raises the signal again, for the handler that was there before.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        model = Artefact.load(job.model)
        port = int(job.environ.get("SAGEMAKER_BIND_TO_PORT") or 8080)
    except (TreeringError, ValueError) as error:
        log.error("Cannot serve: %s: %s", type(error).__name__, error)
        sys.exit(1)
    log.info("Serving run %s (%d trees) on port %d", model.card.run_id, model.card.trees, port)
    uvicorn.run(
        App(model),
        host="0.0.0.0",  # noqa: S104  # SageMaker reaches the container from outside
        port=port,
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=65,  # longer than SageMaker's own connections idle, so that it closes them, not we
        timeout_graceful_shutdown=25,  # SIGKILL comes 30 s after SIGTERM ("Custom Inference Code")
    )


if __name__ == "__main__":
    main()
