"""The steps of the weekly run, called one after the other in one Python process: what the whole run is compared with.

The steps are the application's own; a folder stands for the bucket, and the endpoint is the same server on a thread.
Prints one JSON line with the seconds of each step.
"""

import asyncio
import functools
import http.client
import json
import shutil
import socket
import sys
import tarfile
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cli.data_source import make_feed
from local_cloud.kaggle import KaggleServer
from sagemaker_jobs.preprocess.job import work as preprocess
from sagemaker_jobs.runner import Job
from sagemaker_jobs.serve.answers import answer
from sagemaker_jobs.serve.connection import Answers, Connection
from sagemaker_jobs.serve.server import listen
from sagemaker_jobs.test_endpoint.job import work as test_endpoint
from sagemaker_jobs.train.job import work as train
from tests.benchmarks.folder_bucket import Executions, Folder
from treering import names, use_case
from treering.clock import Deadline
from treering.contracts import ScheduledEvent
from treering.kaggle import Credentials, KaggleClient
from treering.steps.artefact import Artefact
from treering.steps.deployment import EndpointState
from treering.steps.ingestion import Ingestion

CONFIG = "benchmark"


@dataclass(frozen=True)
class Endpoint:
    """The server on a thread, asked over HTTP on a connection that stays open."""

    connection: http.client.HTTPConnection

    def find_endpoint(self, name: str) -> EndpointState | None:
        """In service, always."""
        return EndpointState(status="InService", config_name=CONFIG)

    def invoke(
        self, endpoint_name: str, body: bytes, content_type: str, accept: str
    ) -> tuple[bytes, str]:  # the port's signature
        """One request."""
        self.connection.request("POST", "/invocations", body, {"Content-Type": content_type, "Accept": accept})
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise OSError(f"the server answered {answer.status}: {content.decode()}")
        return content, answer.headers["Content-Type"]


def serve(answers: Answers, listening: socket.socket) -> None:
    """Answer until the program ends."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        connections: set[Connection] = set()
        server = await loop.create_server(lambda: Connection(answers, connections), sock=listening)
        await server.serve_forever()

    asyncio.run(run())


def main() -> None:
    """Run all steps in a temporary folder."""
    seconds: dict[str, float] = {}
    started = time.perf_counter()

    def lap(step: str) -> None:
        seconds[step] = time.perf_counter() - started - sum(seconds.values())

    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        case = use_case.load("house_prices")
        cache = Path(sys.argv[1]) if len(sys.argv) > 1 else root
        feed = make_feed(case, "ames", by_date=False, cache=cache)
        with KaggleServer(case.source.competition, feed, lambda: datetime.now(UTC)) as kaggle:
            lap("data source")
            secret = json.dumps({"username": kaggle.username, "key": kaggle.key})
            bucket = Folder(root / "bucket")
            now = datetime.now(UTC)
            ingested = Ingestion(
                use_case=case,
                competition=case.source.competition,
                source=KaggleClient(kaggle.base_url, Credentials.parse(secret, "benchmark")),
                bucket=bucket,
                executions=Executions(),
                workspace=root / "ingest",
                retrain_on_unchanged_data=True,
            ).run(ScheduledEvent(id="benchmark", time=now), Deadline.after(600))
        lap("ingest")
        run = names.run_id(str(ingested.execution_arn), now)
        version = ingested.dataset.version
        dataset = bucket.path / "datasets" / case.dataset / version
        common = {"TREERING_RUN_ID": run, "TREERING_DATASET_VERSION": version, "TREERING_USE_CASE": case.name}

        shutil.copytree(dataset, root / "preprocess/processing/input/dataset")
        preprocess(Job(root / "preprocess", common))
        lap("preprocess")
        shutil.copytree(root / "preprocess/processing/output", root / "train/input/data")
        hyperparameters = root / "train/input/config/hyperparameters.json"
        hyperparameters.parent.mkdir(parents=True)
        hyperparameters.write_text(json.dumps({"use_case": case.name, "run_id": run, "dataset_version": version}))
        train(Job(root / "train", {}))
        archive = root / "test/processing/input/model/model.tar.gz"
        archive.parent.mkdir(parents=True)
        with tarfile.open(archive, "w:gz", compresslevel=1) as packed:
            packed.add(root / "train/model", arcname=".")
        lap("train")
        listening = listen("127.0.0.1", 0)
        port = listening.getsockname()[1]
        model = Artefact.load_archive(archive)
        threading.Thread(target=serve, args=(functools.partial(answer, model), listening), daemon=True).start()
        lap("deploy endpoint")
        shutil.copytree(dataset, root / "test/processing/input/dataset")
        endpoint = Endpoint(http.client.HTTPConnection("127.0.0.1", port))
        settings = {**common, "ENDPOINT_NAME": "benchmark", "ENDPOINT_CONFIG_NAME": CONFIG}
        message = test_endpoint(Job(root / "test", settings), endpoint, endpoint)
        endpoint.connection.close()
        lap("test endpoint")
    print(json.dumps({"message": message, "seconds": {step: round(value, 3) for step, value in seconds.items()}}))


if __name__ == "__main__":
    main()
