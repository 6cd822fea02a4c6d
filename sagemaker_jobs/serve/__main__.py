"""The program `serve`: the model of /opt/ml/model over HTTP, on port 8080 or SAGEMAKER_BIND_TO_PORT."""

import logging
import signal
import socket
import sys

import uvicorn

from sagemaker_jobs.runner import Job
from sagemaker_jobs.serve import workers
from sagemaker_jobs.serve.app import App
from sagemaker_jobs.serve.protocol import Protocol
from treering.errors import TreeringError
from treering.steps.artefact import Artefact

_BACKLOG = 2048  # connections that wait to be accepted
log = logging.getLogger(__name__)


def main(job: Job | None = None) -> None:
    """Load the model, then serve until SIGTERM."""
    job = job or Job()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # what callers send is no news
    try:
        model = Artefact.load(job.model)
        port = int(job.environ.get("SAGEMAKER_BIND_TO_PORT") or 8080)
        listening = _listen(port)
    except (TreeringError, ValueError, OverflowError, OSError) as error:
        log.error("Cannot serve: %s: %s", type(error).__name__, error)
        sys.exit(1)
    app = App(model)
    count = workers.processors()
    log.info("Serving run %s (%d trees) on port %d in %d processes", model.card.run_id, model.card.trees, port, count)
    workers.run(lambda: serve(app, listening), count)


def serve(app: App, listening: socket.socket) -> None:
    """Answer on a socket until SIGTERM."""
    # uvicorn ends its work on SIGTERM and then raises the signal again, for the handler that was there before.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    config = uvicorn.Config(
        app,
        http=Protocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=65,  # longer than SageMaker's own connections idle, so that it closes them, not we
        timeout_graceful_shutdown=25,  # SIGKILL comes 30 s after SIGTERM ("Custom Inference Code")
    )
    uvicorn.Server(config).run([listening])


def _listen(port: int) -> socket.socket:
    # asyncio sends small answers at once (TCP_NODELAY) on sockets that name their protocol only
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("0.0.0.0", port))  # noqa: S104  # SageMaker reaches the container from outside
    listening.listen(_BACKLOG)
    listening.setblocking(False)
    return listening


if __name__ == "__main__":
    main()
