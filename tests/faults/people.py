"""Who is told: a queue that is subscribed to the topic, as an e-mail address would be."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.faults.bench import Bench


@dataclass(frozen=True)
class Message:
    """What somebody read: about an execution (`outcome`), or about an alarm (`alarm`)."""

    subject: str
    content: dict[str, Any]

    @property
    def outcome(self) -> str:
        """deployed, rejected, failed and so on; empty for an alarm."""
        return str(self.content.get("outcome", ""))

    @property
    def alarm(self) -> str:
        """The alarm's name; empty for an execution."""
        return str(self.content.get("AlarmName", ""))

    def __str__(self) -> str:
        return f"{self.subject}: {json.dumps(self.content)[:300]}"


class People:
    """Reads what the topic sends."""

    def __init__(self, bench: "Bench") -> None:
        self._bench = bench
        sqs, topic = bench.client("sqs"), bench.outputs["OutcomeTopicArn"]
        self._url = sqs.create_queue(QueueName="people")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": policy})
        bench.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def read(self) -> list[Message]:
        """All messages since the last time."""
        found = []
        for message in self._bench.receive(self._url):
            envelope = json.loads(message["Body"])
            found.append(Message(envelope.get("Subject", ""), json.loads(envelope["Message"])))
        return found
