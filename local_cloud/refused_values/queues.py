"""What SQS refuses in a queue, in its words: asked of by its API and by templates."""

from __future__ import annotations

import re
from typing import Any

from ministack.services import sqs

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html, "QueueName"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo")


def install() -> None:
    """Let CreateQueue refuse what it refuses on AWS."""
    create = sqs._HANDLERS["CreateQueue"]

    def create_queue(request: dict[str, Any], url: str) -> Any:
        problem = name_problem(request.get("QueueName"))
        if problem:
            raise sqs._Err("InvalidParameterValue", problem)
        return create(request, url)

    sqs._HANDLERS["CreateQueue"] = create_queue


def name_problem(name: str | None) -> str | None:
    """Say why CreateQueue refuses a name; None where it takes it, and where there is none."""
    if not name or _NAME.fullmatch(name):
        return None
    return "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
