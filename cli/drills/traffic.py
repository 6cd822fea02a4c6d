"""Callers of the endpoint while something goes wrong with it: a few at a time, and never more than so many requests."""

import itertools
import threading
import time
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from cli.application import Application
from cli.rows import Rows

CALLERS = 4
MOST_REQUESTS = 5_000
PAUSE_SECONDS = 0.2  # of each caller between two requests


@dataclass(frozen=True)
class Answer:
    """One request: which of the rows, when it was sent (monotonic seconds), the prediction or none where it failed."""

    row: int
    sent: float
    prediction: float | None


class Traffic:
    """Asks for one row after the other, in threads of its own, from `start` to `stop`."""

    def __init__(self, found: Application, rows: Rows) -> None:
        self._client, self._endpoint = found.cloud.client("sagemaker-runtime"), found.stack.endpoint
        self._bodies = [body for row in rows.rows for _, body in Rows(rows.columns, (row,)).chunks()]
        self._numbers = itertools.count()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self.answers: list[Answer] = []

    @property
    def running(self) -> bool:
        """Whether it has been started."""
        return bool(self._threads)

    def start(self) -> None:
        """Begin, once."""
        if not self._threads:
            self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(CALLERS)]
            for thread in self._threads:
                thread.start()

    def wait(self, more: int, seconds: float = 60.0) -> None:
        """Wait until there are so many more answers, at most so long."""
        end, wanted = time.monotonic() + seconds, len(self.answers) + more
        while self.running and len(self.answers) < wanted and time.monotonic() < end:
            time.sleep(PAUSE_SECONDS)

    def stop(self) -> None:
        """Send nothing more; returns at once."""
        self._stopped.set()

    def join(self) -> None:
        """Returns when the last answer is there."""
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._stopped.wait(PAUSE_SECONDS) and (number := next(self._numbers)) < MOST_REQUESTS:
            row, sent = number % len(self._bodies), time.monotonic()
            try:
                answer = self._client.invoke_endpoint(
                    EndpointName=self._endpoint, ContentType="text/csv", Accept="text/csv", Body=self._bodies[row]
                )
                prediction: float | None = float(answer["Body"].read())
            except (ClientError, BotoCoreError):
                prediction = None
            self.answers.append(Answer(row, sent, prediction))
