"""The user's own AWS account, for the one command that may ask it; all others talk to the local cloud alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import boto3

SETTINGS: dict[str, str] = {}  # the environment's AWS_… variables, put aside when the command starts


@contextmanager
def own_session() -> Iterator[boto3.Session]:
    """A session with the settings that were put aside: credentials, profile, region."""
    os.environ.update(SETTINGS)
    try:
        yield boto3.Session(region_name=SETTINGS.get("AWS_REGION") or SETTINGS.get("AWS_DEFAULT_REGION"))
    finally:
        for name in SETTINGS:
            os.environ.pop(name, None)
