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
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cli.data_source import make_feed
from local_cloud.kaggle import KaggleServer
from sagemaker_jobs.evaluate.job import work as evaluate
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
from treering.steps.evaluation import Champion
from treering.steps.ingestion import Ingestion

CONFIG = "benchmark"


class NoModelInService:
    """As in the first week."""

    def find(self, endpoint_name: str) -> Champion | None:  # the port's signature
        """None."""
        return None

    def fetch(self, champion: Champion, path: Path) -> None:  # the port's signature
        """Never asked for."""
        raise LookupError(champion)


@dataclass(frozen=True)
class Endpoint:
    """The server on a thread, asked over HTTP on connections that stay open, one for each thread that asks."""

    port: int
    connections: threading.local = field(default_factory=threading.local)

    def find_endpoint(self, name: str) -> EndpointState | None:
        """In service, always."""
        return EndpointState(status="InService", config_name=CONFIG)

    def invoke(
        self, endpoint_name: str, body: bytes, content_type: str, accept: str
    ) -> tuple[bytes, str]:  # the port's signature
        """One request."""
        if not hasattr(self.connections, "own"):
            self.connections.own = http.client.HTTPConnection("127.0.0.1", self.port)
        self.connections.own.request("POST", "/invocations", body, {"Content-Type": content_type, "Accept": accept})
        answer = self.connections.own.getresponse()
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
        shutil.copytree(dataset, root / "evaluate/processing/input/dataset")
        (root / "evaluate/processing/input/model").mkdir()
        shutil.copy(archive, root / "evaluate/processing/input/model")
        gate = {"GATE_MAX_ERROR": "0.2", "GATE_MIN_R2": "0.6", "GATE_MAX_WORSENING": "0.01", "GATE_CONFIDENCE": "0.95"}
        about = {"ENDPOINT_NAME": "benchmark", "MODEL_DATA_URL": "s3://folder/model.tar.gz", **gate}
        evaluate(Job(root / "evaluate", {**common, **about}), NoModelInService())
        lap("evaluate")
        listening = listen("127.0.0.1", 0)
        port = listening.getsockname()[1]
        model = Artefact.load_archive(archive)
        threading.Thread(target=serve, args=(functools.partial(answer, model), listening), daemon=True).start()
        lap("start the server")
        shutil.copytree(dataset, root / "test/processing/input/dataset")
        endpoint = Endpoint(port)
        # as the template's defaults for staging, then as for production
        for seconds_of_load, name in (("5", "test staging endpoint"), ("0", "test endpoint")):
            load = {"LOAD_TEST_SECONDS": seconds_of_load, "LOAD_TEST_CONCURRENCY": "4"}
            load |= {"LOAD_TEST_MAX_P99_MILLISECONDS": "1000"}
            settings = {**common, **load, "ENDPOINT_NAME": "benchmark", "ENDPOINT_CONFIG_NAME": CONFIG}
            message = test_endpoint(Job(root / "test", settings), endpoint, endpoint)
            lap(name)
    print(json.dumps({"message": message, "seconds": {step: round(value, 3) for step, value in seconds.items()}}))


if __name__ == "__main__":
    main()
