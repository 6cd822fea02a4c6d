"""Who is told: a queue that is subscribed to the topic, as an e-mail address would be."""

import json
from typing import TYPE_CHECKING

from cli.drills.people import Message

if TYPE_CHECKING:
    from tests.faults.bench import Bench


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
