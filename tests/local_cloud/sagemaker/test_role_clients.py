"""Roles share a client of a service, and each signs with its own credentials."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from urllib.parse import parse_qs, urlparse

from local_cloud.sagemaker.storage import client

ENDPOINT, REGION = "http://127.0.0.1:9", "eu-central-1"


def credentials(name: str) -> dict[str, str]:
    """Those of a role's session."""
    return {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": f"token of {name}"}


def signer(s3: Any) -> tuple[str, str]:
    """Access key and session token that a request is signed with."""
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"})
    query = parse_qs(urlparse(url).query)
    return query["X-Amz-Credential"][0].partition("/")[0], query["X-Amz-Security-Token"][0]


def test_roles_at_the_same_time_do_not_mix() -> None:
    """Threads that act as different roles at the same moment share the client, not the credentials."""
    names = [f"ROLE{number}" for number in range(8)]
    together = Barrier(len(names))

    def act(name: str) -> tuple[object, set[tuple[str, str]]]:
        with client("s3", ENDPOINT, REGION, credentials(name)) as s3:
            together.wait(30)
            return s3, {signer(s3) for _ in range(20)}

    with client("s3", ENDPOINT, REGION, credentials("FIRST")):  # is made before the threads need it
        pass
    with ThreadPoolExecutor(len(names)) as pool:
        found = list(pool.map(act, names))

    assert [signed for _, signed in found] == [{(name, f"token of {name}")} for name in names]
    assert len({id(s3) for s3, _ in found}) == 1


def test_a_role_within_another_ends_with_its_block() -> None:
    """Afterwards, the thread acts as before."""
    with client("s3", ENDPOINT, REGION, credentials("OUTER")) as outer:
        with client("s3", ENDPOINT, REGION, credentials("INNER")) as inner:
            assert signer(inner)[0] == "INNER"
        assert signer(outer)[0] == "OUTER"
