"""The statement to add is one that fits into the template."""

from local_cloud.iam.record import Denied
from local_cloud.iam.suggestion import Stack, advice, as_yaml, merged, statement

BUCKET = "arn:aws:s3:::app-bucket-1a2b3c4d5e6f7"
TOPIC = "arn:aws:sns:us-east-1:000000000000:app-topic"
ROLE = "arn:aws:iam::000000000000:role/app-JobRole-1"
SESSION = "arn:aws:sts::000000000000:assumed-role/app-JobRole-1/job"
STACK = Stack(
    "app",
    {
        "DataBucket": ("AWS::S3::Bucket", "app-bucket-1a2b3c4d5e6f7", BUCKET),
        "Topic": ("AWS::SNS::Topic", TOPIC, TOPIC),
        "JobRole": ("AWS::IAM::Role", "app-JobRole-1", ROLE),
    },
)


def yaml_for(action: str, resource: str, **keys: str) -> str:
    """What to add for a denial."""
    added = statement(Denied(SESSION, action, resource, {key.replace("_", ":"): keys[key] for key in keys}), STACK)
    assert added is not None
    return as_yaml(added)


def test_an_object_is_named_by_its_bucket_and_a_folder() -> None:
    """IDs of runs and versions are other ones next time, and so is the object."""
    assert yaml_for("s3:PutObject", f"{BUCKET}/runs/20261121-044549-683447d6/preprocess/result.json") == (
        "- Effect: Allow\n  Action: s3:PutObject\n  Resource: !Sub ${DataBucket.Arn}/runs/*/preprocess/*"
    )
    for key, covering in (
        ("runs/20261121-044549-683447d6/preprocess/train/rows.csv", "runs/*/preprocess/*"),
        ("datasets/houses/70c8569131d15cbc/manifest.json", "datasets/houses/*"),
        ("settings/today/names.json", "settings/today/*"),
        ("top", "*"),
    ):
        assert yaml_for("s3:GetObject", f"{BUCKET}/{key}").endswith(f"Resource: !Sub ${{DataBucket.Arn}}/{covering}")


def test_a_resource_of_the_stack_is_named_as_the_template_would() -> None:
    """Ref where that is the ARN, GetAtt where it is not; listing is narrowed to the prefix, passing to the service."""
    assert yaml_for("sns:Publish", TOPIC).endswith("Resource: !Ref Topic")
    assert yaml_for("s3:ListBucket", BUCKET, s3_prefix="datasets/houses/0123456789abcdef/").endswith(
        'Resource: !GetAtt DataBucket.Arn\n  Condition: {StringLike: {s3:prefix: "datasets/houses/*"}}'
    )
    assert yaml_for("iam:PassRole", ROLE, iam_PassedToService="sagemaker.amazonaws.com").endswith(
        'Resource: !GetAtt JobRole.Arn\n  Condition: {StringEquals: {iam:PassedToService: "sagemaker.amazonaws.com"}}'
    )


def test_other_arns_name_no_account() -> None:
    """Pseudo parameters stand for partition, region and account."""
    job = "arn:aws:sagemaker:us-east-1:000000000000:training-job/app-train-20261121-044549-683447d6-0"

    assert yaml_for("sagemaker:CreateTrainingJob", job).endswith(
        "Resource: !Sub arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:training-job/app-train-*"
    )
    assert yaml_for("ecr:GetAuthorizationToken", "*").endswith('Resource: "*"')


def test_actions_on_the_same_resource_go_into_one_statement() -> None:
    """As a person would write it."""
    denied = [statement(Denied(SESSION, action, "*"), STACK) for action in ("logs:A", "logs:B", "logs:A")]

    [one] = merged([added for added in denied if added is not None])

    assert as_yaml(one) == '- Effect: Allow\n  Action:\n    - logs:A\n    - logs:B\n  Resource: "*"'


def test_a_deny_is_not_answered_with_an_allow() -> None:
    """No statement that is added outweighs a Deny; the advice is to narrow that."""
    denied = Denied(SESSION, "s3:PutObject", f"{BUCKET}/a", explicit=True)

    assert statement(denied, STACK) is None
    assert "Deny statement" in advice(denied, STACK)
    assert "JobRole" in advice(denied, STACK)
