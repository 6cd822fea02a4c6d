"""The boto3 session and client settings that all adapters share."""

import os

import boto3
from botocore.config import Config

CLIENT_CONFIG = Config(
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": 5},
    user_agent_extra="treering",
)


def session() -> boto3.Session:
    """Session in the region that Lambda and SageMaker name in AWS_REGION; botocore reads AWS_DEFAULT_REGION only."""
    return boto3.Session(region_name=os.environ.get("AWS_REGION"))
