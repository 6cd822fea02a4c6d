"""What S3 refuses in a bucket's lifecycle and tags, in its words: both of its API and of templates come here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import ParseError

from ministack.services import s3

Answer = tuple[int, dict[str, str], bytes]

_ACTIONS = (
    "AbortIncompleteMultipartUpload",
    "Expiration",
    "NoncurrentVersionExpiration",
    "NoncurrentVersionTransitions",
    "Transitions",
)


def install() -> None:
    """Let PutBucketLifecycleConfiguration and PutBucketTagging refuse what they refuse on AWS."""
    emulators_own, put_tags = s3._lifecycle_rules_error, s3._put_bucket_tagging

    def lifecycle_rules_error(rules: Sequence[Mapping[str, Any]]) -> Answer | None:
        refused: Answer | None = emulators_own(rules) or _refusal(lifecycle_problem(rules))
        return refused

    def put_bucket_tagging(bucket: str, body: bytes) -> Answer:
        answer: Answer = _refusal(tags_problem(body)) or put_tags(bucket, body)
        return answer

    s3._lifecycle_rules_error, s3._put_bucket_tagging = lifecycle_rules_error, put_bucket_tagging


def lifecycle_problem(rules: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """Return code and message for rules that S3 refuses: without an action, or with one ID twice."""
    if not all(any(rule.get(action) for action in _ACTIONS) for rule in rules):
        return "InvalidRequest", "At least one action needs to be specified in a rule"
    names = [rule["ID"] for rule in rules if rule.get("ID")]
    if len(names) > len(set(names)):
        return "InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule"
    return None


def tags_problem(body: bytes) -> tuple[str, str] | None:
    """Return code and message for tags that S3 refuses: with one key twice, or with AWS's own prefix."""
    try:
        keys = [key for key, _value in s3._iter_tag_pairs(s3.fromstring(body))]
    except ParseError:  # which the emulator refuses
        return None
    if len(keys) > len(set(keys)):
        return "InvalidTag", "Cannot provide multiple Tags with the same key"
    if any(key.startswith("aws:") for key in keys):
        return "InvalidTag", "System tags cannot be added/updated by requester"
    return None


def _refusal(problem: tuple[str, str] | None) -> Answer | None:
    if problem is None:
        return None
    refusal: Answer = s3._error(*problem, 400)
    return refusal
