"""Who is told: a queue that is subscribed to the topic, as an e-mail address would be."""

import json
from dataclasses import dataclass
from typing import Any

from cli.application import Application
from cli.drills.queues import Queue


@dataclass(frozen=True)
class Message:
    """What somebody read: about an execution, or about an alarm."""

    subject: str
    content: dict[str, Any]

    @property
    def outcome(self) -> str:
        """deployed, rejected, failed, …; empty for an alarm."""
        return str(self.content.get("outcome", ""))

    @property
    def execution(self) -> str:
        """ARN of the execution; empty for an alarm."""
        return str(self.content.get("execution", ""))

    @property
    def alarm(self) -> str:
        """The alarm's name; empty for an execution."""
        return str(self.content.get("AlarmName", ""))

    @property
    def reason(self) -> str:
        """Why, in sentences: of a failure or of a model that was rejected; empty for others."""
        return str(self.content.get("reason") or self.content.get("reasons") or "")

    def __str__(self) -> str:
        return f'"{self.subject}" ({self.outcome or self.alarm})'


class People:
    """Reads what the application's topic sends."""

    def __init__(self, found: Application) -> None:
        topic = found.stack.output("OutcomeTopicArn")
        self._queue = Queue(found, "treering-drill-people", "sns.amazonaws.com", topic)
        found.cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self._queue.arn)

    def read(self) -> list[Message]:
        """All messages since the last time."""
        return [
            Message(envelope.get("Subject", ""), json.loads(envelope["Message"])) for envelope in self._queue.read()
        ]
