"""What the application needs from the account is missing: a secret, a value in it, a role."""

import json
from typing import Any

from tests.faults.scenario import Scenario
from tests.faults.scenarios.ingestion import Arm, fails
from tests.faults.stage import Stage

_GROUP = "account"
_TRAIN = "Train Random Forest"


def _secret(value: str) -> Arm:
    def put(stage: Stage) -> None:
        secret = stage.bench.outputs["KaggleSecretArn"]
        stage.bench.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=value)

    return put


def _without_secret(stage: Stage) -> None:
    before = stage.clear(whole=False)
    bench = stage.bench
    secrets, secret = bench.client("secretsmanager"), bench.outputs["KaggleSecretArn"]
    secrets.delete_secret(SecretId=secret, RecoveryWindowInDays=7)
    try:
        event = stage.ingestion_fails(before, "secret", secret)
    finally:
        secrets.restore_secret(SecretId=secret)
    stage.ingested_again(before, event)


class _Role:
    """A role that can be taken away and put back as it was."""

    def __init__(self, iam: Any, name: str) -> None:
        self._iam, self._name = iam, name
        self._trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
        self._attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        self._inline = {
            policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
        }

    def delete(self) -> None:
        for policy in self._attached:
            self._iam.detach_role_policy(RoleName=self._name, PolicyArn=policy["PolicyArn"])
        for policy in self._inline:
            self._iam.delete_role_policy(RoleName=self._name, PolicyName=policy)
        self._iam.delete_role(RoleName=self._name)

    def create(self) -> None:
        self._iam.create_role(RoleName=self._name, AssumeRolePolicyDocument=json.dumps(self._trust))
        for policy in self._attached:
            self._iam.attach_role_policy(RoleName=self._name, PolicyArn=policy["PolicyArn"])
        for policy, document in self._inline.items():
            self._iam.put_role_policy(RoleName=self._name, PolicyName=policy, PolicyDocument=json.dumps(document))


def _without_role(stage: Stage) -> None:
    before = stage.clear(whole=True)
    name = stage.bench.resource("TrainJobRole")
    role = _Role(stage.bench.client("iam"), name)
    role.delete()
    try:
        arn = stage.begin()
        stage.run_fails(before, arn, _TRAIN, "SageMaker.AmazonSageMakerException", name)
    finally:
        role.create()
    stage.runs_again(before, arn)


SCENARIOS = (
    fails(
        "secret-empty",
        _GROUP,
        "the secret has no values, as after the first deployment",
        "CredentialsError with the command that stores them",
        _secret('{"username": "", "key": "", "api_token": ""}'),
        "has no api_token, or username and key",
        "put-secret-value",
    ),
    fails(
        "secret-no-json",
        _GROUP,
        "the secret is no JSON",
        "CredentialsError that does not show its value",
        _secret("hunter2"),
        "is not JSON",
        "put-secret-value",
    ),
    Scenario(
        "secret-missing",
        _GROUP,
        "the secret was deleted",
        "Ingest",
        "the error names it; event in the dead-letter queue, one alarm; restored, the event sent again succeeds",
        _without_secret,
        ingestion=True,
    ),
    Scenario(
        "role-missing",
        _GROUP,
        "a job's role was deleted",
        _TRAIN,
        "the execution fails there, the cause names the role; people are told once; put back, it succeeds",
        _without_role,
    ),
)
