"""Clients of a local cloud, each made once: making one takes as long as a dozen requests."""

import functools
from typing import Any

import boto3
from botocore.config import Config


@functools.cache
def client(
    service: str,
    endpoint: str,
    region: str,
    *keys: str,  # access key, secret access key, and a session's token
    tries: int = 1,
    read_seconds: float = 60,
) -> Any:
    """A client of a service that tries a call so often and waits so long for an answer."""
    session = boto3.Session(*keys, region_name=region)
    config = Config(retries={"total_max_attempts": tries}, proxies={}, connect_timeout=5, read_timeout=read_seconds)
    return session.client(service, endpoint_url=endpoint, config=config)  # type: ignore[call-overload]
