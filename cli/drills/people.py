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


class People:
    """Reads what the application's topic sends."""

    def __init__(self, found: Application) -> None:
        topic = found.stack.output("OutcomeTopicArn")
        self._queue = Queue(found, "treering-drill-people", "sns.amazonaws.com", topic)
        found.cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self._queue.arn)
        self._messages: list[Message] = []

    def told_of(self, execution: str) -> list[Message]:
        """All messages so far about an execution."""
        return [message for message in self._all() if message.execution == execution]

    def alarms(self) -> list[str]:
        """Names of the alarms of which people were told so far, each as often as they were."""
        return [message.alarm for message in self._all() if message.alarm]

    def _all(self) -> list[Message]:
        for envelope in self._queue.read():
            self._messages.append(Message(envelope.get("Subject", ""), json.loads(envelope["Message"])))
        return self._messages
