"""What became of a scheduled event: the execution that ingestion started for it, or why there is none."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cli import logs
from cli.cloud import Cloud
from cli.errors import CommandError
from cli.history import LogPlace
from cli.stack import Stack

POLL_SECONDS = 0.2
WORDS_SECONDS = 3.0  # the execution passes meanwhile, so this costs no time
MARGIN_SECONDS = 60.0  # for the queue in front of the function and the waits between its attempts
ATTEMPTS = 3  # Lambda tries an asynchronous event twice more (AWS Lambda Developer Guide, "error handling")
_RAISED = re.compile(r"^\[ERROR\]\s+(?:\S+Z\s+\S+\s+)?(?P<error>[\w.]+): (?P<message>.*)$")


class IngestionFailedError(CommandError):
    """The ingest function gave up on the event, or nothing was heard of it in time."""

    def __init__(self, error: str, message: str, log: list[str], since: datetime | None = None) -> None:
        super().__init__(f"{error}: {message}" if error else message)
        self.since = since
        self.error = error
        self.reason = message
        self.log = log


@dataclass(frozen=True)
class Ingested:
    """How ingestion ended: the execution it started, or none where there was nothing to train on."""

    execution_arn: str | None
    message: str


def _slot(scheduled_at: datetime) -> str:
    """End of the name of the execution that belongs to a schedule's instant (see `treering.names.execution_name`)."""
    return f"-{scheduled_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


class Watch:
    """Watches one firing, from before the event is sent until ingestion has dealt with it."""

    def __init__(self, cloud: Cloud, stack: Stack) -> None:
        self._cloud = cloud
        self._stack = stack
        self._functions = cloud.client("lambda")
        self._machines = cloud.client("stepfunctions")
        self._queues = cloud.client("sqs")
        self._place = LogPlace(f"/aws/lambda/{stack.ingest_function}")
        self._since = datetime.now(UTC) - timedelta(milliseconds=1)
        self._dead_before = self._dead_letters()
        timeout = self._functions.get_function_configuration(FunctionName=stack.ingest_function)["Timeout"]
        self._patience = ATTEMPTS * float(timeout) + MARGIN_SECONDS

    def wait(self, scheduled_at: datetime, say: Callable[[str], None]) -> Ingested:
        """Wait until that instant's event is dealt with. Raises IngestionFailedError with the function's own words."""
        deadline = time.monotonic() + self._patience
        ended_at: float | None = None
        while time.monotonic() < deadline:
            arn = self._execution(scheduled_at)
            log = self.log()
            if arn:
                return Ingested(arn, self._last_words() or "started the execution")
            if log:
                say(logs.readable(log[-1]))
            if self._dead_letters() > self._dead_before:
                raise self._undelivered() or _failed(log, self._since)
            if _ended(log) and not any(map(logs.is_error, log)):
                # It ended well and started nothing; look once more, since what it started may be listed late.
                ended_at = ended_at or time.monotonic()
                if time.monotonic() - ended_at > 2:
                    return Ingested(None, _outcome(log) or "nothing to train on")
            time.sleep(POLL_SECONDS)
        raise IngestionFailedError(
            "",
            f"The ingest function started no execution within {self._patience:.0f} seconds of the schedule's event.",
            self.log(),
            self._since,
        )

    def log(self) -> list[str]:
        """What the function has logged since the watch began."""
        return [line.text for line in logs.lines(self._cloud, self._place, self._since)]

    def _last_words(self) -> str:
        """What the function says at its end, which may come a moment after the execution has started."""
        deadline = time.monotonic() + WORDS_SECONDS
        log = self.log()
        while not _ended(log) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            log = self.log()
        return _outcome(log)

    def _execution(self, scheduled_at: datetime) -> str | None:
        slot = _slot(scheduled_at)
        listed = self._machines.list_executions(stateMachineArn=self._stack.state_machine, maxResults=100)
        found: list[dict[str, Any]] = [e for e in listed["executions"] if e["name"].endswith(slot)]
        return found[0]["executionArn"] if found else None

    def _undelivered(self) -> IngestionFailedError | None:
        """Why EventBridge could not deliver the event, which it writes on the message; none if it was delivered.

        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
        """
        url = self._stack.output("IngestDeadLetterQueueUrl")
        answer = self._queues.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=0,  # it stays where it is for whoever looks after the queue
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["SentTimestamp"],
        )
        for message in answer.get("Messages", []):
            if int(message["Attributes"]["SentTimestamp"]) < self._since.timestamp() * 1000:
                continue
            attributes = {key: value["StringValue"] for key, value in message.get("MessageAttributes", {}).items()}
            if "ERROR_CODE" in attributes:
                return IngestionFailedError(
                    attributes["ERROR_CODE"], attributes.get("ERROR_MESSAGE", ""), self.log(), self._since
                )
        return None

    def _dead_letters(self) -> int:
        url = self._stack.output("IngestDeadLetterQueueUrl")
        answer = self._queues.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def _ended(log: list[str]) -> bool:
    """Whether an invocation has ended: Lambda then writes its REPORT line."""
    return any(line.startswith("REPORT ") for line in log)


def _failed(log: list[str], since: datetime) -> IngestionFailedError:
    for line in reversed(log):
        if match := _RAISED.match(line):
            return IngestionFailedError(match["error"], match["message"], log, since)
    return IngestionFailedError("", "The ingest function failed; the event lies in its dead-letter queue.", log, since)


def _outcome(log: list[str]) -> str:
    """What the function itself last said."""
    return next((message for line in reversed(log) if (message := logs.said(line)) is not None), "")
