"""What SNS refuses in a message, a topic and a subscription, in its words: asked of by its API and by templates."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from ministack.services import sns

from local_cloud.iam.guards import Handler, Response

#: https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html, "Protocol"; `supported` says which do nothing here.
_PROTOCOLS = frozenset({"http", "https", "email", "email-json", "sms", "sqs", "application", "lambda", "firehose"})
# "Endpoint" there: its form by the protocol, and the answer to another
_ENDPOINTS = {
    "email": (r"[^@\s]+@[^@\s]+", "Invalid parameter: Email address"),
    "email-json": (r"[^@\s]+@[^@\s]+", "Invalid parameter: Email address"),
    "http": (r"http://.*", "Invalid parameter: Endpoint must match the specified protocol"),
    "https": (r"https://.*", "Invalid parameter: Endpoint must match the specified protocol"),
    "lambda": (r"arn:[^:]+:lambda:.*", "Invalid parameter: Lambda endpoint ARN"),
    "sqs": (r"arn:[^:]+:sqs:.*", "Invalid parameter: SQS endpoint ARN"),
}
# https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html, "Name"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo")
_MOST_KEYS = 5
_LONGEST_TEXT = 100  # characters of a subject and of a display name


def guard_topics(handler: Handler) -> Handler:
    """Refuse requests for what SNS refuses and the emulator takes."""
    checks = {"Publish": message_problem, "Subscribe": _request_problem, "CreateTopic": _creation_problem}

    async def guarded(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Response:
        # Read here, since the emulator loses an empty subject on the way
        form = parse_qs(body.decode(errors="replace"), keep_blank_values=True)
        request = {name: value[0] if isinstance(value, list) else value for name, value in {**query, **form}.items()}
        check = checks.get(request.get("Action", ""))
        problem = check(request) if check else None
        if problem:
            refusal: Response = sns._error("InvalidParameter", problem, 400)
            return refusal
        return await handler(method, path, headers, body, query)

    return guarded


def message_problem(request: Mapping[str, Any]) -> str | None:
    """Say why Publish refuses a message; None where it takes it.

    "Subjects must be UTF-8 text with no line breaks or control characters, and less than 100 characters long"
    (https://docs.aws.amazon.com/sns/latest/api/API_Publish.html), of which 100 are taken, too, and none is not
    (https://github.com/getmoto/moto/issues/1503, https://github.com/localstack/localstack/issues/597).
    """
    if not request.get("Message"):
        return "Invalid parameter: Empty message"
    subject = request.get("Subject")
    if subject is None:
        return None
    controls = any(unicodedata.category(character) == "Cc" for character in subject)
    return "Invalid parameter: Subject" if controls or not 0 < len(subject) <= _LONGEST_TEXT else None


def subscription_problem(subscription: Mapping[str, Any]) -> str | None:
    """Say why Subscribe refuses an endpoint of a protocol, or its filter policy; None where it takes both."""
    protocol, endpoint = subscription.get("Protocol"), str(subscription.get("Endpoint", ""))
    if protocol not in _PROTOCOLS:
        return f"Invalid parameter: Does not support this protocol string: {protocol}"
    form, problem = _ENDPOINTS.get(protocol, (".*", ""))
    if not re.fullmatch(form, endpoint):
        return problem
    reason = _filter_problem(subscription.get("FilterPolicy"))
    return f"Invalid parameter: Attributes Reason: FilterPolicy: {reason}" if reason else None


def topic_problem(name: str | None, display_name: str) -> str | None:
    """Say why CreateTopic refuses a topic; None where it takes it, and for the name that CloudFormation gives."""
    if name is not None and not _NAME.fullmatch(name):
        return "Invalid parameter: Topic Name"
    if len(display_name) > _LONGEST_TEXT:
        return "Invalid parameter: Attributes Reason: DisplayName"
    return None


def _creation_problem(request: Mapping[str, Any]) -> str | None:
    return topic_problem(str(request.get("Name", "")), _attributes(request).get("DisplayName", ""))


def _request_problem(request: Mapping[str, Any]) -> str | None:
    return subscription_problem({**request, **_attributes(request)})


def _attributes(request: Mapping[str, Any]) -> dict[str, str]:
    return {
        value: str(request.get(f"{name.removesuffix('key')}value", ""))
        for name, value in request.items()
        if name.startswith("Attributes.entry.") and name.endswith(".key")
    }


def _filter_problem(policy: Any) -> str | None:
    """Judge a policy by https://docs.aws.amazon.com/sns/latest/dg/subscription-filter-policy-constraints.html.

    It may be text or, of a template, an object. The words are those that others have measured
    (https://github.com/badmintoncryer/cdk-preflight, rules/sns/pf-sns-filter-policy).
    """
    try:
        keys = json.loads(policy) if isinstance(policy, str) else policy
    except ValueError:  # which SNS refuses in words that are not known
        return None
    if not isinstance(keys, Mapping):
        return None
    if len(keys) > _MOST_KEYS:
        return f"Filter policy can not have more than {_MOST_KEYS} keys"
    for name, value in keys.items():
        if not isinstance(value, list | Mapping):
            return f'"{name}" must be an object or an array'
        if value == []:
            return "Empty arrays are not allowed"
    return None
