"""A queue that somebody outside the application reads: of what a topic or the event bus sends."""

import json
from typing import Any

from cli.application import Application


class Queue:
    """A queue to which one service may send from one source; what is read is taken out."""

    def __init__(self, found: Application, name: str, service: str, source_arn: str) -> None:
        self._sqs = found.cloud.client("sqs")
        self._url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        told = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        self.arn = str(told["Attributes"]["QueueArn"])
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sqs:SendMessage",
            "Resource": self.arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": source_arn}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._sqs.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": policy})

    def read(self) -> list[dict[str, Any]]:
        """The bodies of all messages that are there, parsed."""
        found: list[dict[str, Any]] = []
        while got := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages"):
            for message in got:
                found.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return found
