"""Adapters to AWS: the only modules of the application that import boto3. They raise `treering.errors` only."""
