"""The application's function: it notes each call in the bucket, and hangs until it is let go where it is told to."""

import os
import time
import uuid
from typing import Any

import boto3


def work(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Writes `calls/<name>/…`; with `hang`, waits for the object `go`, a minute at most."""
    bucket = boto3.client("s3", endpoint_url=os.environ.get("AWS_ENDPOINT_URL"))
    place = os.environ["BUCKET"]
    bucket.put_object(Bucket=place, Key=f"calls/{event['name']}/{uuid.uuid4()}", Body=b"")
    for _ in range(600 if event.get("hang") else 0):
        if bucket.list_objects_v2(Bucket=place, Prefix="go").get("KeyCount"):
            break
        time.sleep(0.1)
    return {"name": event["name"]}
