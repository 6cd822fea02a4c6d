"""Permissions are as strict as on AWS, and denials say what AWS would say."""

import json
import uuid
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

ANYBODY = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
TRUST = {"Version": "2012-10-17", "Statement": [ANYBODY]}
SAGEMAKER = "arn:aws:sagemaker:us-east-1:000000000000"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/keepfunction:keep"


def allow(action: str | list[str], resource: str | list[str], **condition: Any) -> dict[str, Any]:
    """One statement of a policy."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


@pytest.fixture
def as_role(cloud):
    """Function: statements → session of a new role that has these and no other permissions."""

    def make(*statements: dict[str, Any]) -> boto3.Session:
        iam, name = cloud.client("iam"), f"role-{uuid.uuid4().hex[:12]}"
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        if statements:
            policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            iam.put_role_policy(RoleName=name, PolicyName="only", PolicyDocument=policy)
        credentials = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="tester")["Credentials"]
        return boto3.Session(
            credentials["AccessKeyId"],
            credentials["SecretAccessKey"],
            credentials["SessionToken"],
            region_name="us-east-1",
        )

    return make


def _job(cloud, name: str, **more: Any) -> dict[str, Any]:
    return {
        "ProcessingJobName": name,
        "RoleArn": cloud.output("JobRoleArn"),
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["true"]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.t3.medium", "VolumeSizeInGB": 1}
        },
        **more,
    }


def _refusal(call: Any, **request: Any) -> ClientError:
    with pytest.raises(ClientError) as refused:
        call(**request)
    assert refused.value.response["ResponseMetadata"]["RequestId"]
    return refused.value


def test_a_denial_names_caller_action_and_resource(cloud, as_role) -> None:
    """With AWS's error name, and a request id that the SDK finds."""
    sagemaker = cloud.client("sagemaker", as_role())
    refused = _refusal(sagemaker.describe_training_job, TrainingJobName="Some-Job")
    message = refused.response["Error"]["Message"]

    assert refused.response["Error"]["Code"] == "AccessDeniedException"
    assert ":assumed-role/role-" in message
    assert message.endswith(
        f"is not authorized to perform: sagemaker:DescribeTrainingJob on resource: {SAGEMAKER}:training-job/some-job "
        "because no identity-based policy allows the sagemaker:DescribeTrainingJob action"
    )


def test_s3_is_held_to_key_prefixes(cloud, as_role) -> None:
    """What the policy names is allowed, the neighbour is not."""
    bucket = cloud.output("BucketName")
    s3 = cloud.client("s3", as_role(allow("s3:PutObject", f"arn:aws:s3:::{bucket}/mine/*")))
    s3.put_object(Bucket=bucket, Key="mine/a", Body=b"a")
    refused = _refusal(s3.put_object, Bucket=bucket, Key="theirs/a", Body=b"a")

    assert refused.response["Error"]["Code"] == "AccessDenied"
    assert f'on resource: "arn:aws:s3:::{bucket}/theirs/a"' in refused.response["Error"]["Message"]


def test_a_request_without_credentials_is_refused(cloud) -> None:
    """Also by a service that the emulator does not have."""
    from botocore import UNSIGNED
    from botocore.config import Config

    client = boto3.client(
        "stepfunctions",
        endpoint_url=cloud.endpoint,
        region_name="us-east-1",
        config=Config(signature_version=UNSIGNED),
    )

    assert _refusal(client.list_state_machines).response["Error"]["Code"] == "MissingAuthenticationTokenException"


def test_a_job_needs_permission_on_its_own_name(cloud, as_role) -> None:
    """Names are compared in lower case, as they stand in ARNs."""
    create = allow("sagemaker:CreateProcessingJob", f"{SAGEMAKER}:processing-job/mine-*")
    sagemaker = cloud.client("sagemaker", as_role(create))
    refused = _refusal(sagemaker.create_processing_job, **_job(cloud, "theirs-1"))

    assert f"on resource: {SAGEMAKER}:processing-job/theirs-1" in refused.response["Error"]["Message"]


def test_passing_a_role_needs_permission(cloud, as_role) -> None:
    """For the role and for the service that gets it."""
    create = allow("sagemaker:CreateProcessingJob", f"{SAGEMAKER}:processing-job/*")
    role = cloud.output("JobRoleArn")
    for_lambda = allow("iam:PassRole", role, StringEquals={"iam:PassedToService": "lambda.amazonaws.com"})
    for_sagemaker = allow("iam:PassRole", role, StringEquals={"iam:PassedToService": "sagemaker.amazonaws.com"})
    without = cloud.client("sagemaker", as_role(create))
    elsewhere = cloud.client("sagemaker", as_role(create, for_lambda))
    allowed = cloud.client("sagemaker", as_role(create, for_sagemaker))
    refusals = [_refusal(client.create_processing_job, **_job(cloud, "passes-1")) for client in (without, elsewhere)]
    made = allowed.create_processing_job(**_job(cloud, "passes-1"))

    assert {refusal.response["Error"]["Code"] for refusal in refusals} == {"AccessDeniedException"}
    assert all(f"iam:PassRole on resource: {role}" in refusal.response["Error"]["Message"] for refusal in refusals)
    assert made["ProcessingJobArn"] == f"{SAGEMAKER}:processing-job/passes-1"


def test_tags_need_permission(cloud, as_role) -> None:
    """Creating with tags needs sagemaker:AddTags beside the creation."""
    permissions = [
        allow("sagemaker:CreateProcessingJob", f"{SAGEMAKER}:processing-job/*"),
        allow("iam:PassRole", cloud.output("JobRoleArn")),
    ]
    job = _job(cloud, "tagged-1", Tags=[{"Key": "run", "Value": "1"}])
    refused = _refusal(cloud.client("sagemaker", as_role(*permissions)).create_processing_job, **job)
    with_tags = as_role(*permissions, allow("sagemaker:AddTags", f"{SAGEMAKER}:processing-job/*"))
    made = cloud.client("sagemaker", with_tags).create_processing_job(**job)

    assert "sagemaker:AddTags" in refused.response["Error"]["Message"]
    assert made["ProcessingJobArn"]


def test_an_endpoint_needs_permission_on_its_configuration_too(cloud, as_role) -> None:
    """CreateEndpoint is checked on both."""
    only_endpoint = as_role(allow("sagemaker:CreateEndpoint", f"{SAGEMAKER}:endpoint/*"))
    refused = _refusal(
        cloud.client("sagemaker", only_endpoint).create_endpoint, EndpointName="e", EndpointConfigName="Configuration-1"
    )

    assert f"on resource: {SAGEMAKER}:endpoint-config/configuration-1" in refused.response["Error"]["Message"]


def test_registering_a_model_needs_permission_to_read_it(cloud, as_role) -> None:
    """CreateModelPackage looks for the artefact as its caller: no role stands in the request."""
    register = allow("sagemaker:CreateModelPackage", f"{SAGEMAKER}:model-package*/forest*")
    read = allow("s3:GetObject", "arn:aws:s3:::no-such-forest/models/oak.tar.gz")
    container = {"Image": IMAGE, "ModelDataUrl": "s3://no-such-forest/models/oak.tar.gz"}
    request = {"ModelPackageGroupName": "forest", "InferenceSpecification": {"Containers": [container]}}
    without = _refusal(cloud.client("sagemaker", as_role(register)).create_model_package, **request)
    allowed = _refusal(cloud.client("sagemaker", as_role(register, read)).create_model_package, **request)

    assert without.response["Error"]["Code"] == "AccessDeniedException"
    assert "s3:GetObject on resource: arn:aws:s3:::no-such-forest/models/oak.tar.gz" in str(without)
    assert "Cannot find S3 object: models/oak.tar.gz in bucket no-such-forest." in str(allowed)


def test_invoking_an_endpoint_needs_permission_on_it(cloud, as_role) -> None:
    """The runtime's path names the resource."""
    permission = allow("sagemaker:InvokeEndpoint", f"{SAGEMAKER}:endpoint/mine")
    runtime = cloud.client("sagemaker-runtime", as_role(permission))
    refused = _refusal(runtime.invoke_endpoint, EndpointName="theirs", Body=b"1")
    missing = _refusal(runtime.invoke_endpoint, EndpointName="mine", Body=b"1")

    assert f"sagemaker:InvokeEndpoint on resource: {SAGEMAKER}:endpoint/theirs" in refused.response["Error"]["Message"]
    assert missing.response["Error"]["Code"] == "ValidationError"


def test_a_role_that_sagemaker_may_not_assume_is_refused(cloud) -> None:
    """The state machine's role trusts Step Functions only."""
    role = cloud.client("iam").list_roles()["Roles"]
    machine_role = next(one["Arn"] for one in role if "MachineRole" in one["RoleName"])
    refused = _refusal(
        cloud.client("sagemaker").create_processing_job, **_job(cloud, "untrusted-1", RoleArn=machine_role)
    )

    assert refused.response["Error"]["Code"] == "ValidationException"
    assert "Could not assume role" in refused.response["Error"]["Message"]


def test_starting_an_execution_needs_permission_on_the_state_machine(cloud, as_role) -> None:
    """And creating one needs iam:PassRole for its role."""
    machine = cloud.output("MachineArn")
    states = cloud.client("stepfunctions", as_role(allow("states:CreateStateMachine", "*")))
    started = _refusal(states.start_execution, stateMachineArn=machine)
    role = cloud.client("stepfunctions").describe_state_machine(stateMachineArn=machine)["roleArn"]
    created = _refusal(
        states.create_state_machine,
        name="mine",
        roleArn=role,
        definition='{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}',
    )

    assert f"states:StartExecution on resource: {machine}" in started.response["Error"]["Message"]
    assert f"iam:PassRole on resource: {role}" in created.response["Error"]["Message"]


def test_a_job_whose_role_may_not_pull_its_image_fails(cloud) -> None:
    """As in AWS no container starts; the reason names action and repository."""
    sagemaker, iam, name = cloud.client("sagemaker"), cloud.client("iam"), f"sample-{uuid.uuid4().hex[:8]}"
    trusted = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [trusted]})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    sagemaker.create_processing_job(**_job(cloud, name, RoleArn=role))
    ended = cloud.eventually(
        lambda: (
            (job := sagemaker.describe_processing_job(ProcessingJobName=name))["ProcessingJobStatus"] == "Failed"
            and job
        )
    )

    assert "is not authorized to perform: ecr:GetAuthorizationToken" in ended["FailureReason"]


def test_a_deny_wins_over_every_allow(cloud, as_role) -> None:
    """Also one that excludes actions or resources instead of naming them."""
    bucket = cloud.output("BucketName")
    objects = f"arn:aws:s3:::{bucket}/deny/*"
    everything = allow(["s3:PutObject", "s3:GetObject"], objects)
    but_reading = {"Effect": "Deny", "NotAction": "s3:GetObject", "Resource": objects}
    but_here = {"Effect": "Deny", "Action": "s3:PutObject", "NotResource": f"{objects[:-1]}here/*"}
    reader = cloud.client("s3", as_role(everything, but_reading))
    here = cloud.client("s3", as_role(everything, but_here))
    cloud.client("s3").put_object(Bucket=bucket, Key="deny/a", Body=b"a")
    reader.get_object(Bucket=bucket, Key="deny/a")
    here.put_object(Bucket=bucket, Key="deny/here/a", Body=b"a")
    refusals = [_refusal(client.put_object, Bucket=bucket, Key="deny/a", Body=b"a") for client in (reader, here)]

    assert all(
        refusal.response["Error"]["Message"].endswith("with an explicit deny in an identity-based policy")
        for refusal in refusals
    )


def test_only_who_may_list_a_bucket_learns_that_an_object_is_missing(cloud, as_role) -> None:
    """To others S3 says 403, whether the object is there or not."""
    bucket = cloud.output("BucketName")
    read = allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*")
    reader = cloud.client("s3", as_role(read))
    lister = cloud.client("s3", as_role(read, allow("s3:ListBucket", f"arn:aws:s3:::{bucket}")))
    below = allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", StringLike={"s3:prefix": "mine/*"})
    one_folder = cloud.client("s3", as_role(read, below))
    found = [_refusal(one_folder.get_object, Bucket=bucket, Key=key) for key in ("mine/nowhere", "theirs/nowhere")]
    hidden = _refusal(reader.get_object, Bucket=bucket, Key="nowhere")
    head = _refusal(reader.head_object, Bucket=bucket, Key="nowhere")
    shown = _refusal(lister.get_object, Bucket=bucket, Key="nowhere")

    assert hidden.response["Error"]["Code"] == "AccessDenied"
    assert "s3:ListBucket" in hidden.response["Error"]["Message"]
    assert head.response["Error"]["Code"] == "403"
    assert shown.response["Error"]["Code"] == "NoSuchKey"
    assert [one.response["Error"]["Code"] for one in found] == ["NoSuchKey", "AccessDenied"]


def test_a_batch_deletes_what_the_caller_may_delete(cloud, as_role) -> None:
    """The others are errors of their own: a key that is not the caller's, and a version, which takes another action."""
    bucket, s3 = f"batch-{uuid.uuid4().hex[:12]}", cloud.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    versions = {key: s3.put_object(Bucket=bucket, Key=key, Body=b"a")["VersionId"] for key in ("mine/a", "theirs/a")}
    mine = f"arn:aws:s3:::{bucket}/mine/*"
    entries = [{"Key": "theirs/a"}, {"Key": "mine/a", "VersionId": versions["mine/a"]}, {"Key": "mine/a"}]
    some = cloud.client("s3", as_role(allow("s3:DeleteObject", mine)))
    answer = some.delete_objects(Bucket=bucket, Delete={"Objects": entries})
    none = some.delete_objects(Bucket=bucket, Delete={"Objects": entries[:2], "Quiet": True})
    kept = s3.list_object_versions(Bucket=bucket)
    versioned = cloud.client("s3", as_role(allow("s3:DeleteObjectVersion", mine)))
    purged = versioned.delete_objects(Bucket=bucket, Delete={"Objects": entries[1:2]})

    assert [one["Key"] for one in answer["Deleted"]] == ["mine/a"]
    assert [(one["Key"], one.get("VersionId"), one["Code"]) for one in answer["Errors"]] == [
        ("theirs/a", None, "AccessDenied"),
        ("mine/a", versions["mine/a"], "AccessDenied"),
    ]
    assert f's3:DeleteObjectVersion on resource: "arn:aws:s3:::{bucket}/mine/a"' in answer["Errors"][1]["Message"]
    assert none["Errors"] == answer["Errors"]
    assert {one["Key"]: one["VersionId"] for one in kept["Versions"]} == versions
    assert [one["Key"] for one in kept["DeleteMarkers"]] == ["mine/a"]
    assert [one["VersionId"] for one in purged["Deleted"]] == [versions["mine/a"]]


def test_setting_tags_and_acls_needs_permission(cloud, as_role) -> None:
    """Beside that to write, also where a copy takes its source's tags along; conditions see the request's own keys."""
    bucket, s3 = f"tagged-{uuid.uuid4().hex[:12]}", cloud.client("s3")
    s3.create_bucket(Bucket=bucket, ObjectOwnership="ObjectWriter")
    objects, given = f"arn:aws:s3:::{bucket}/*", "bucket-owner-full-control"
    s3.put_object(Bucket=bucket, Key="tagged", Body=b"a", Tagging="a=b")
    s3.put_object(Bucket=bucket, Key="plain", Body=b"a")
    write = allow(["s3:PutObject", "s3:GetObject"], objects)
    tag = allow("s3:PutObjectTagging", objects)
    grant = allow("s3:PutObjectAcl", objects, StringEquals={"s3:x-amz-acl": given})
    writer, owner = (cloud.client("s3", as_role(*statements)) for statements in ((write,), (write, tag, grant)))
    source, tagging = {"CopySource": f"{bucket}/tagged"}, {"Tagging": "a=b"}
    replacing = {**source, "TaggingDirective": "REPLACE"}
    for name, request, needed in (
        ("put_object", tagging, "s3:PutObjectTagging"),
        ("create_multipart_upload", tagging, "s3:PutObjectTagging"),
        ("copy_object", source, "s3:PutObjectTagging"),
        ("copy_object", {**replacing, **tagging}, "s3:PutObjectTagging"),
        ("put_object", {"ACL": given}, "s3:PutObjectAcl"),
        ("copy_object", {**replacing, "ACL": given}, "s3:PutObjectAcl"),
    ):
        refused = _refusal(getattr(writer, name), Bucket=bucket, Key="k", **request)
        getattr(owner, name)(Bucket=bucket, Key="k", **request)
        assert f'{needed} on resource: "arn:aws:s3:::{bucket}/k"' in refused.response["Error"]["Message"]
    other = _refusal(owner.put_object, Bucket=bucket, Key="k", ACL="public-read")
    writer.put_object(Bucket=bucket, Key="k", ACL="private")
    writer.copy_object(Bucket=bucket, Key="k", **replacing)
    writer.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/plain")

    assert "s3:PutObjectAcl" in other.response["Error"]["Message"]


def test_an_unsigned_request_reads_nothing(cloud) -> None:
    """A bucket that is not public is closed to who brings no credentials."""
    from botocore import UNSIGNED
    from botocore.config import Config

    bucket = cloud.output("BucketName")
    cloud.client("s3").put_object(Bucket=bucket, Key="private", Body=b"a")
    nobody = boto3.client(
        "s3", endpoint_url=cloud.endpoint, region_name="us-east-1", config=Config(signature_version=UNSIGNED)
    )

    assert _refusal(nobody.get_object, Bucket=bucket, Key="private").response["Error"]["Code"] == "AccessDenied"


def test_metrics_are_held_to_their_namespace(cloud, as_role) -> None:
    """The condition key comes from the request, whatever its encoding."""
    mine = allow("cloudwatch:PutMetricData", "*", StringEquals={"cloudwatch:namespace": "Mine"})
    metrics = cloud.client("cloudwatch", as_role(mine))
    theirs = _refusal(metrics.put_metric_data, Namespace="Theirs", MetricData=[{"MetricName": "a", "Value": 1.0}])

    assert "cloudwatch:PutMetricData" in theirs.response["Error"]["Message"]


def test_a_policy_that_cannot_be_evaluated_is_refused_by_name(cloud) -> None:
    """Where it is stored, with what of it is not evaluated."""
    iam, name = cloud.client("iam"), f"role-{uuid.uuid4().hex[:12]}"
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    statement = {**allow("s3:GetObject", "*", StringEquals={"aws:SourceVpce": "vpce-1"}), "Sid": "FromInside"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    refused = _refusal(iam.put_role_policy, RoleName=name, PolicyName="p", PolicyDocument=document)

    assert refused.response["Error"]["Code"] == "MalformedPolicyDocument"
    assert "statement FromInside" in refused.response["Error"]["Message"]
    assert "aws:SourceVpce" in refused.response["Error"]["Message"]


def test_each_service_refuses_a_policy_that_it_would_not_keep_on_aws(cloud) -> None:
    """Whoever stores it, by the service's own code and in its words."""

    def document(principal: object, action: str, **more: str) -> str:
        statement = {"Effect": "Allow", "Principal": principal, "Action": action, **more}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def refused(service: str, call: str, **request: Any) -> tuple[str, str]:
        error = _refusal(getattr(cloud.client(service), call), **request).response["Error"]
        return error["Code"], error["Message"]

    nobody = {"AWS": "arn:aws:iam::000000000000:role/nobody"}
    topic = cloud.client("sns").create_topic(Name="of-strict-policy")["TopicArn"]
    everything = {"Policy": document("*", "sns:*", Resource=topic)}
    of_another = document("*", "s3:GetObject", Resource="arn:aws:s3:::another/*")
    long = json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:GetObject", [f"arn:aws:s3:::{'x' * 6200}/*"])]})
    cloud.client("iam").create_role(RoleName="strict", AssumeRolePolicyDocument=json.dumps(TRUST))
    cloud.client("iam").put_role_policy(RoleName="strict", PolicyName="first", PolicyDocument=long)

    assert refused("iam", "create_role", RoleName="r", AssumeRolePolicyDocument=document(nobody, "sts:AssumeRole")) == (
        "MalformedPolicyDocument",
        f'Invalid principal in policy: "AWS":"{nobody["AWS"]}"',
    )
    assert refused("iam", "put_role_policy", RoleName="strict", PolicyName="second", PolicyDocument=long) == (
        "LimitExceeded",
        "Maximum policy size of 10240 bytes exceeded for role strict",
    )
    assert refused("iam", "create_policy", PolicyName="long", PolicyDocument=long) == (
        "LimitExceeded",
        "Cannot exceed quota for PolicySize: 6144",
    )
    code, words = refused("s3", "put_bucket_policy", Bucket=cloud.output("BucketName"), Policy=of_another)
    assert (code, "Policy has invalid resource" in words) == ("MalformedPolicy", True)
    for call, request in (
        ("create_topic", {"Name": "never", "Attributes": everything}),
        (
            "set_topic_attributes",
            {"TopicArn": topic, "AttributeName": "Policy", "AttributeValue": everything["Policy"]},
        ),
    ):
        code, words = refused("sns", call, **request)
        assert (code, "action out of service scope!" in words) == ("InvalidParameter", True)
    code, words = refused("sqs", "create_queue", QueueName="never", Attributes=everything)
    assert (code, "Invalid value for the parameter Policy." in words) == ("InvalidAttributeValue", True)


def test_handing_a_function_its_role_needs_permission(cloud, as_role) -> None:
    """iam:PassRole, as for jobs and state machines."""
    create = allow("lambda:CreateFunction", "*")
    role = cloud.output("JobRoleArn")
    refused = _refusal(
        cloud.client("lambda", as_role(create)).create_function,
        FunctionName="mine",
        Role=role,
        PackageType="Image",
        Code={"ImageUri": IMAGE},
    )

    assert refused.response["Error"]["Code"] == "AccessDeniedException"
    assert f"iam:PassRole on resource: {role}" in refused.response["Error"]["Message"]


def test_a_denial_says_which_statement_to_add(cloud, as_role) -> None:
    """Once for the same denied again, with what narrows it, until the role has it."""
    session = as_role(allow("sagemaker:CreateProcessingJob", f"{SAGEMAKER}:processing-job/*"))
    role = cloud.client("sts", session).get_caller_identity()["Arn"].split("/")[1]
    for name in ("asks-1", "asks-2"):
        _refusal(cloud.client("sagemaker", session).create_processing_job, **_job(cloud, name))
    report = cloud.call("permissions")
    [denied] = [one for one in report["denials"] if one["role"] == role]
    [missing] = [one for one in report["missing"] if one["role"] == role]
    policy = {"Version": "2012-10-17", "Statement": [allow("iam:PassRole", cloud.output("JobRoleArn"))]}
    cloud.client("iam").put_role_policy(RoleName=role, PolicyName="more", PolicyDocument=json.dumps(policy))
    afterwards = [one for one in cloud.call("permissions")["denials"] if one["role"] == role]

    assert (denied["action"], denied["count"]) == ("iam:PassRole", 2)
    assert denied["message"].endswith("because no identity-based policy allows the iam:PassRole action")
    assert missing["statements"][0]["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    assert "Action: iam:PassRole" in missing["yaml"]
    assert afterwards == []


def test_uses_are_counted_by_statement(cloud, as_role) -> None:
    """For each action and resource as the policy writes them, and not for what was denied."""
    bucket = cloud.output("BucketName")
    session = as_role({**allow(["s3:Put*", "s3:GetObject"], f"arn:aws:s3:::{bucket}/counted/*"), "Sid": "Mine"})
    s3 = cloud.client("s3", session)
    for key in ("counted/a", "counted/b"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"a")
    _refusal(s3.put_object, Bucket=bucket, Key="elsewhere", Body=b"a")
    name = cloud.client("sts", session).get_caller_identity()["Arn"].split("/")[1]
    [role] = [one for one in cloud.call("permissions")["roles"] if one["name"] == name]
    [statement] = role["statements"]
    [use] = statement["uses"]

    assert statement["label"] == "Mine"
    assert (use["action"], use["resource"], use["count"]) == ("s3:Put*", f"arn:aws:s3:::{bucket}/counted/*", 2)
