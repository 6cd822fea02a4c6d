"""Handlers of the test application: one keeps the events it gets in a bucket, one fails whatever it gets."""

import json
import os
import sys
from typing import Any

import boto3


def keep(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Writes the event below `events/` and gives its time back."""
    bucket = boto3.client("s3", endpoint_url=os.environ.get("AWS_ENDPOINT_URL"))
    bucket.put_object(Bucket=os.environ["BUCKET"], Key=f"events/{event['time']}.json", Body=json.dumps(event))
    return {"time": event["time"]}


def fail(event: dict[str, Any], _context: object) -> None:
    """Counts its calls in the log, then fails."""
    sys.stdout.write(f"called with {json.dumps(event)}\n")
    raise ValueError("as always")
