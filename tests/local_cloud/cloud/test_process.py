"""The cloud's process: one to a state directory, tells where it is, ends with what started it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import pytest

from local_cloud.deploy import deploy
from local_cloud.state_directory import read_cloud
from tests.local_cloud.cloud_process import CloudNotStartedError, start_cloud

ROOT = Path(__file__).resolve().parents[3]


def _get(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


def _answers(endpoint: str) -> bool:
    try:
        _get(f"{endpoint}/_local_cloud/health")
    except (urllib.error.URLError, OSError):
        return False
    return True


def _gone(endpoint: str, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while _answers(endpoint) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not _answers(endpoint)


def test_a_second_cloud_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    """The refusal says where the first one is and what to do."""
    first = start_cloud(tmp_path)
    try:
        with pytest.raises(CloudNotStartedError) as refused:
            start_cloud(tmp_path)

        assert first.file.endpoint in str(refused.value)
        assert "--state" in str(refused.value)
        assert read_cloud(tmp_path) == first.file
    finally:
        first.stop()


def test_cloud_json_is_there_while_the_cloud_is(tmp_path: Path) -> None:
    """It is readable by its owner only, and gone when the cloud has been stopped."""
    cloud = start_cloud(tmp_path)
    mode = (tmp_path / "cloud.json").stat().st_mode & 0o777
    health = _get(f"{cloud.file.endpoint}/_local_cloud/health")
    cloud.stop()

    assert mode == 0o600
    assert health["status"] == "ok"
    assert cloud.process is not None
    assert cloud.process.returncode == 0
    assert not (tmp_path / "cloud.json").exists()
    assert _gone(cloud.file.endpoint)


def test_what_a_killed_cloud_left_is_replaced(tmp_path: Path) -> None:
    """Its cloud.json counts for nothing, and the next one starts in the same directory."""
    killed = start_cloud(tmp_path)
    assert killed.process is not None
    killed.process.kill()
    killed.process.wait()
    left = (tmp_path / "cloud.json").exists()
    seen = read_cloud(tmp_path)
    following = start_cloud(tmp_path)
    following.stop()

    assert left
    assert seen is None
    assert following.file.pid != killed.file.pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_ephemeral_cloud_ends_with_its_parent(tmp_path: Path, number: int) -> None:
    """Even when the parent is killed and can say nothing."""
    program = (
        "import sys, time; from pathlib import Path; from tests.local_cloud.cloud_process import start_cloud\n"
        "print(start_cloud(Path(sys.argv[1])).file.endpoint, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    endpoint = parent.stdout.readline().strip()
    answered = _answers(endpoint)
    os.kill(parent.pid, number)
    parent.wait()

    assert answered
    assert _gone(endpoint)


def test_a_stopped_cloud_starts_again_with_what_it_had(tmp_path: Path) -> None:
    """Objects, versions, secrets and roles outlive a restart in the same directory."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }

    def client(endpoint: str, service: str) -> object:
        return boto3.client(
            service,
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    cloud = start_cloud(tmp_path)
    s3 = client(cloud.file.endpoint, "s3")
    s3.create_bucket(Bucket="kept")
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="kept", Key="a/b.txt", Body=b"1")
    s3.put_object(Bucket="kept", Key="a/b.txt", Body=b"2")
    client(cloud.file.endpoint, "iam").create_role(RoleName="kept", AssumeRolePolicyDocument=json.dumps(trust))
    client(cloud.file.endpoint, "secretsmanager").create_secret(Name="kept", SecretString="token")
    cloud.stop()
    on_disk = list((tmp_path / "s3").glob("*/kept/a/b.txt"))
    again = start_cloud(tmp_path)
    try:
        s3 = client(again.file.endpoint, "s3")
        body = s3.get_object(Bucket="kept", Key="a/b.txt")["Body"].read()
        versions = s3.list_object_versions(Bucket="kept")["Versions"]
        secret = client(again.file.endpoint, "secretsmanager").get_secret_value(SecretId="kept")
        role = client(again.file.endpoint, "iam").get_role(RoleName="kept")["Role"]["RoleName"]
    finally:
        again.stop()

    assert [path.read_bytes() for path in on_disk] == [b"2"]
    assert (body, len(versions), secret["SecretString"], role) == (b"2", 2, "token", "kept")


def _descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            child = int(path.parent.name)
            found |= {child} | _descendants(child)
    return found


def _running(pids: set[int]) -> set[int]:
    states = {}
    for pid in pids:
        try:
            states[pid] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
    return {pid for pid, state in states.items() if state not in "ZX"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_that_a_cloud_started_outlives_it(tmp_path: Path, number: int) -> None:
    """A running job ends with its cloud, also when the cloud is killed; the stack is there again after a restart."""
    template = Path(__file__).parent / "application" / "template.yaml"
    cloud = start_cloud(tmp_path)
    deployed = deploy(template, cloud.file, tmp_path, stack_name="sample")
    sagemaker = boto3.client(
        "sagemaker",
        endpoint_url=cloud.file.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    sagemaker.create_processing_job(
        ProcessingJobName="sleeper",
        RoleArn=deployed.outputs["JobRoleArn"],
        AppSpecification={
            "ImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/keepfunction:keep",
            "ContainerEntrypoint": ["sleep", "300"],
        },
        ProcessingResources={
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.t3.medium", "VolumeSizeInGB": 1}
        },
    )
    deadline = time.monotonic() + 30
    while not (children := _descendants(cloud.file.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert cloud.process is not None
    cloud.process.send_signal(number)
    cloud.process.wait()
    while _running(children) and time.monotonic() < deadline + 30:
        time.sleep(0.05)
    left = _running(children)
    again = start_cloud(tmp_path)
    try:
        redeployed = deploy(template, again.file, tmp_path, stack_name="sample")
    finally:
        again.stop()

    assert children
    assert left == set()
    if number == signal.SIGTERM:  # a killed cloud has what it had saved ten seconds before
        assert not redeployed.changed
        assert redeployed.outputs == deployed.outputs


def _holds(file: Path, text: str, seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if file.is_file() and text in file.read_text():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_use_of_permissions_is_counted_on(how: signal.Signals, tmp_path: Path) -> None:
    """A cloud that is started again goes on where the last one stopped, or where it was a moment before its end."""
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    statement = {"Sid": "Look", "Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
    counts = []
    for _ in range(2):
        cloud = start_cloud(tmp_path, ephemeral=False)
        try:
            session = boto3.Session("test", "test", region_name="us-east-1")
            iam, sts = (session.client(name, endpoint_url=cloud.file.endpoint) for name in ("iam", "sts"))
            if not counts:
                iam.create_role(RoleName="looker", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
                policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
                iam.put_role_policy(RoleName="looker", PolicyName="own", PolicyDocument=policy)
            role = "arn:aws:iam::000000000000:role/looker"
            keys = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
            own = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], "us-east-1")
            own.client("s3", endpoint_url=cloud.file.endpoint).list_buckets()
            [found] = _get(f"{cloud.file.endpoint}/_local_cloud/permissions")["roles"]
            counts.append(found["statements"][0]["uses"][0]["count"])
            if how == signal.SIGKILL:  # what it saves by itself, it saves within seconds
                assert _holds(tmp_path / "services" / "iam.json", "looker")
                assert _holds(tmp_path / "permissions.json", f'"count": {counts[-1]}')
        finally:
            os.kill(cloud.file.pid, how)
            assert cloud.process is not None
            cloud.process.wait(30)

    assert counts == [1, 2]


def _resident_megabytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) // 1024


def test_objects_are_on_the_disk_and_not_in_memory(tmp_path: Path) -> None:
    """Every version of every object is, in a bucket with versioning too: a year of runs must fit into the machine."""
    cloud = start_cloud(tmp_path)
    try:
        file = cloud.file
        session = boto3.Session(file.access_key_id, file.secret_access_key, region_name=file.region)
        s3 = session.client("s3", endpoint_url=file.endpoint)
        s3.create_bucket(Bucket="years")
        s3.put_bucket_versioning(Bucket="years", VersioningConfiguration={"Status": "Enabled"})
        body = [os.urandom(4_000_000) for _ in range(2)]
        before = 0
        for number in range(40):
            if number == 10:  # by now the allocator has what it keeps for requests of this size
                before = _resident_megabytes(file.pid)
            for content in body:
                s3.put_object(Bucket="years", Key=f"week-{number}", Body=content)
        after = _resident_megabytes(file.pid)
        versions = s3.list_object_versions(Bucket="years", Prefix="week-7")["Versions"]
        read = {
            one["IsLatest"]: s3.get_object(Bucket="years", Key="week-7", VersionId=one["VersionId"])["Body"].read()
            for one in versions
        }
    finally:
        cloud.stop()

    assert read == {False: body[0], True: body[1]}
    assert after - before < 120, "half of what was written since"
