"""Log lines of functions and jobs, read from CloudWatch Logs."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from cli.cloud import Cloud
from cli.history import LogPlace


class Line(NamedTuple):
    """One line of a log: when it was written, in which stream, and what it says."""

    at: datetime
    stream: str
    text: str


def lines(cloud: Cloud, place: LogPlace, since: datetime | None = None) -> list[Line]:
    """All lines of a place, oldest first; none where nothing was logged yet. `since` is real time, not the cloud's."""
    client = cloud.client("logs")
    try:
        streams = [s["logStreamName"] for s in _pages(client, "describe_log_streams", "logStreams", **_wanted(place))]
        found = []
        for chunk in (streams[i : i + 100] for i in range(0, len(streams), 100)):  # FilterLogEvents: at most 100 names
            wanted: dict[str, Any] = {"logGroupName": place.group, "logStreamNames": chunk}
            if since is not None:
                wanted["startTime"] = int(since.timestamp() * 1000)
            found += list(_pages(client, "filter_log_events", "events", **wanted))
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return []
        raise
    found.sort(key=lambda event: event["timestamp"])
    return [
        Line(datetime.fromtimestamp(event["timestamp"] / 1000, UTC), event["logStreamName"], text)
        for event in found
        for text in event["message"].rstrip().splitlines()
    ]


def readable(text: str) -> str:
    """A line as a person reads it: of a JSON line its level, message and error; of embedded metrics their values."""
    try:
        record = json.loads(text)
    except ValueError:
        return text
    if isinstance(record, dict) and "_aws" in record:
        return "METRICS " + ", ".join(f"{name} {record.get(name)}" for name in _metric_names(record))
    if not isinstance(record, dict) or not ({"message", "level"} <= record.keys()):
        return text
    message = record["message"] if isinstance(record["message"], str) else json.dumps(record["message"])
    parts = [str(record["level"]), message]
    if record.get("exception"):
        parts.append(str(record["exception"]).strip().splitlines()[-1])
    return " ".join(parts)


def is_error(text: str) -> bool:
    """Whether a function's log line reports an error: JSON of that level, or the runtime's own words."""
    try:
        record = json.loads(text)
    except ValueError:
        return text.startswith("[ERROR]") or "Task timed out after" in text or "Runtime exited" in text
    return isinstance(record, dict) and record.get("level") in ("ERROR", "CRITICAL")


def said(text: str) -> str | None:
    """The message of a structured line that a program wrote; none for any other line."""
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return str(record["message"]) if isinstance(record, dict) and {"message", "level"} <= record.keys() else None


def _metric_names(record: dict[str, Any]) -> list[str]:
    """Names in CloudWatch's embedded metric format, whose values stand beside them."""
    directives = record["_aws"].get("CloudWatchMetrics", [])
    return [metric["Name"] for directive in directives for metric in directive.get("Metrics", [])]


def _wanted(place: LogPlace) -> dict[str, Any]:
    wanted = {"logGroupName": place.group}
    return wanted | ({"logStreamNamePrefix": place.stream_prefix} if place.stream_prefix else {})


def _pages(client: Any, operation: str, member: str, **wanted: Any) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator(operation).paginate(**wanted):
        yield from page.get(member, [])
