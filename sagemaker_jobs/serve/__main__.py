"""The program `serve`: the model of /opt/ml/model over HTTP, on port 8080 or SAGEMAKER_BIND_TO_PORT."""

import functools
import gc
import logging
import signal
import sys

from sagemaker_jobs.runner import Job
from sagemaker_jobs.serve import server, workers
from sagemaker_jobs.serve.answers import answer
from treering.errors import TreeringError
from treering.steps.artefact import Artefact

log = logging.getLogger(__name__)


def main(job: Job | None = None) -> None:
    """Load the model, then serve until SIGTERM."""
    job = job or Job()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until somebody else waits for it
    gc.enable()
    try:
        model = Artefact.load(job.model)
        port = int(job.environ.get("SAGEMAKER_BIND_TO_PORT") or 8080)
        listening = server.listen("0.0.0.0", port)  # noqa: S104  # SageMaker reaches the container from outside
    except (TreeringError, ValueError, OverflowError, OSError) as error:
        log.error("Cannot serve: %s: %s", type(error).__name__, error)
        sys.exit(1)
    _ = model.compiled  # before there are several processes, so that they share it
    count = workers.processors()
    log.info("Serving run %s (%d trees) on port %d in %d processes", model.card.run_id, model.card.trees, port, count)
    # the port is free once the workers no longer listen, so this process must not
    workers.run(lambda: server.run(functools.partial(answer, model), listening), count, started=listening.close)


if __name__ == "__main__":
    main()
