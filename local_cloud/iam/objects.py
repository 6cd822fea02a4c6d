"""Permissions on S3's objects that the emulator does not ask for, or asks for all at once.

- A write that sets tags or an ACL needs ``s3:PutObjectTagging`` or ``s3:PutObjectAcl`` beside ``s3:PutObject``
  (https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html, also CopyObject and CreateMultipartUpload).
- DeleteObjects needs ``s3:DeleteObject`` for each key, or ``s3:DeleteObjectVersion`` for each version. It deletes what
  the caller may delete, and lists the others as errors of their own
  (https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from ministack.core import iam_actions, iam_evaluator

from local_cloud.iam.record import Denied

# No action of IAM, but what a request is at the front door, where its caller is authenticated and nothing is allowed.
_BATCH = "s3:DeleteObjects"
_WRITE, _TAGS, _ACL, _BYPASS = "s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectAcl", "s3:BypassGovernanceRetention"
_BUCKETS = "arn:aws:s3:::"
_DEFAULT_ACL = "private"  # who asks for it changes nothing

Response = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class _Asked:
    """Who asked at the front door, and with which condition keys."""

    access_key_id: str
    region: str
    keys: Mapping[str, Any] = field(default_factory=dict)


_asked: ContextVar[_Asked | None] = ContextVar("asked", default=None)


def install() -> None:
    """Let the emulator ask for them; call it when policies are evaluated as they are to be."""
    from ministack.services import s3

    iam_actions._S3_BUCKET_QUERY_ACTIONS["delete"] = {"POST": _BATCH.partition(":")[2]}
    iam_evaluator._ALWAYS_ALLOWED_ACTIONS |= {_BATCH}
    _install_enforce()
    _install_additional_checks()
    delete_objects = s3._delete_objects

    def delete_allowed_objects(bucket: str, body: bytes, headers: dict[str, str] | None = None) -> Response:
        asked = _asked.get()
        allowed, denied = (body, []) if asked is None else _split(asked, bucket, body)
        answer: Response = delete_objects(bucket, allowed, headers)
        return _with_errors(answer, denied) if answer[0] == 200 and denied else answer

    s3._delete_objects = delete_allowed_objects


def _install_enforce() -> None:
    """Remember who asks: what is asked for later, for the same request, carries the same condition keys."""
    decide = iam_evaluator.enforce

    def enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: Mapping[str, Any] | None = None,
    ) -> Any:
        keys = service_context or {}
        asked = _asked.get()
        if iam_action in (_BATCH, _WRITE):
            _asked.set(_Asked(access_key_id, region, keys))
        elif iam_action in (_TAGS, _ACL) and asked is not None:
            keys = {**asked.keys, **keys}
        return decide(access_key_id, iam_action, service, region, resource_arn, keys)

    iam_evaluator.enforce = enforce


def _install_additional_checks() -> None:
    emulators_own = iam_actions.s3_additional_checks

    def s3_additional_checks(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> list[tuple[str, str]]:
        checks: list[tuple[str, str]] = emulators_own(method, path, headers, body, query)
        bucket, _, key = path.lstrip("/").partition("/")
        if not key and method == "POST" and "delete" in query:
            return [check for check in checks if check[0] == _BYPASS]  # the others are asked for one by one
        starts_write = (method == "PUT" and "uploadId" not in query) or (method == "POST" and "uploads" in query)
        if key and starts_write and iam_actions._s3_action(method, path, query) == "PutObject":
            resource = f"{_BUCKETS}{bucket}/{key}"
            checks += [(action, resource) for action in _beside_writing(headers)]
        return checks

    iam_actions.s3_additional_checks = s3_additional_checks


def _beside_writing(headers: Mapping[str, str]) -> list[str]:
    """Return what a write with these headers needs beside the permission to write."""
    grants = any(value for name, value in headers.items() if name.startswith("x-amz-grant-"))
    needed = [_ACL] if grants or headers.get("x-amz-acl", _DEFAULT_ACL) != _DEFAULT_ACL else []
    return [*needed, _TAGS] if _sets_tags(headers) else needed


def _sets_tags(headers: Mapping[str, str]) -> bool:
    """Whether a write sets tags: those of the request, or, for a copy that does not replace them, its source's."""
    from ministack.services import s3

    source = iam_actions._s3_source_object(headers)
    if source is None or headers.get("x-amz-tagging-directive", "COPY").upper() == "REPLACE":
        return bool(headers.get("x-amz-tagging"))
    bucket, _, key = source[0].removeprefix(_BUCKETS).partition("/")
    return bool(s3.object_tags_for_condition(bucket, key, {"versionId": [source[1]]} if source[1] else {}))


def _split(asked: _Asked, bucket: str, body: bytes) -> tuple[bytes, list[tuple[str, str, str]]]:
    """Return the request without the objects that the caller may not delete, and of each of those key, version, why."""
    from ministack.services import s3

    try:
        request = s3.fromstring(body)
    except (ParseError, ValueError):  # ValueError: what could be an attack
        return body, []  # S3 itself refuses it
    denied = []
    for entry in [one for one in request if one.tag.rpartition("}")[2] == "Object"]:
        key, version = (_text(s3._find_xml_tag(entry, name)) for name in ("Key", "VersionId"))
        action = "s3:DeleteObjectVersion" if version else "s3:DeleteObject"
        problem = _problem(asked, action, f"{_BUCKETS}{bucket}/{key}") if key else ""
        if problem:
            request.remove(entry)
            denied.append((key, version, problem))
    return (tostring(request) if denied else body), denied


def _text(found: Element | None) -> str:
    return (found.text or "") if found is not None else ""


def _problem(asked: _Asked, action: str, resource: str) -> str:
    """Return AWS's words for a denial; none where it is allowed."""
    refused = iam_evaluator.enforce(asked.access_key_id, action, "s3", asked.region, resource)
    if refused is None:
        return ""
    if not isinstance(refused, iam_evaluator.EvalResult):
        return "Access Denied"
    explicit, by_resource = refused.decision == "Deny", bool(refused.resource_policy_arn)
    named = f'"{resource}"'
    return Denied(refused.principal_arn, action, named, explicit=explicit, by_resource_policy=by_resource).message


def _with_errors(answer: Response, denied: list[tuple[str, str, str]]) -> Response:
    from ministack.services import s3

    result = s3.fromstring(answer[2])
    namespace = result.tag.removesuffix("DeleteResult")
    for key, version, problem in denied:
        error = SubElement(result, f"{namespace}Error")
        for name, value in (("Key", key), ("VersionId", version), ("Code", "AccessDenied"), ("Message", problem)):
            if value:
                SubElement(error, f"{namespace}{name}").text = value
    written = tostring(result, "UTF-8", xml_declaration=True, default_namespace=namespace.strip("{}") or None)
    return answer[0], answer[1], written
