"""Teaches the emulator's IAM what it does not know; called once, before the first request."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator, router

from local_cloud.iam import evaluation, objects, resource_policies, sagemaker, stored_policies
from local_cloud.iam.request_keys import request_keys

# Services whose denials the emulator words itself, from observation of AWS.
_WORDED_BY_EMULATOR = frozenset({"ssm", "logs", "iot", "iot-data"})


def install() -> None:
    """Install the evaluation of policies, actions of S3 and SageMaker, AWS's wording of denials, and TLS here."""
    evaluation.install()
    objects.install()
    _install_sagemaker()
    stored_policies.install()
    resource_policies.install()
    _install_request_keys()
    _install_unknown_actions()
    _install_denials()
    iam_evaluator._request_origin = _LoopbackOrigin()


class _LoopbackOrigin:
    """Tells the policy evaluator that every request came over TLS.

    AWS's endpoints are https, and bucket policies deny whatever is not (``aws:SecureTransport``). The local endpoint
    is plain http, but bound to 127.0.0.1: nothing travels over a network. So a "TLS only" policy is evaluated as it
    is on AWS, where each of these calls is encrypted, instead of denying every call.
    """

    def __init__(self) -> None:
        self._origin: ContextVar[tuple[str, bool]] = ContextVar("origin", default=("127.0.0.1", True))

    def get(self) -> tuple[str, bool]:
        return self._origin.get()

    def set(self, origin: tuple[str, bool]) -> None:
        self._origin.set((origin[0], True))


def _install_sagemaker() -> None:
    router.SERVICE_PATTERNS["sagemaker"] = {
        "target_prefixes": ["SageMaker."],
        "host_patterns": [r"(runtime|api)\.sagemaker\."],
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE["sagemaker"] = "sagemaker"
    # Known in advance, so that the first request does not read botocore's model of all of SageMaker (seconds).
    iam_actions._BOTOCORE_SERVICE_MAP["sagemaker"] = ["sagemaker-runtime"]
    iam_actions._REST_ROUTE_CACHE["sagemaker"] = [("POST", sagemaker.INVOKE_PATH, "InvokeEndpoint", 2, {})]
    iam_actions._TAG_OPERATIONS["sagemaker"] = sagemaker.OPERATIONS_WITH_TAGS
    iam_actions._UNSIGNED_OPERATIONS["sagemaker"] = frozenset()
    other_services = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query: Any,
        region: str,
        account: str,
    ) -> str:
        if service != "sagemaker":
            return str(other_services(service, method, path, headers, body, query, region, account))
        needed = sagemaker.permissions(region, account, path, headers, body)
        return needed[0].resource if needed else "*"

    iam_actions.extract_resource_arn = extract_resource_arn


def _install_request_keys() -> None:
    """Add the condition keys of requests that the emulator does not read."""
    emulators_own = iam_actions.request_tag_context

    def request_tag_context(service: str, iam_action: str, body: bytes, params: Any) -> dict[str, Any]:
        return {**emulators_own(service, iam_action, body, params), **request_keys(service, body, params)}

    iam_actions.request_tag_context = request_tag_context


def _install_unknown_actions() -> None:
    """Refuse a role's request whose action nobody knows: the emulator would let it pass without asking a policy."""
    emulators_own = app._authenticate_only

    def authenticate_only(service: str, headers: dict[str, str], query: Any, request_id: str) -> Any:
        caller = iam_evaluator.request_caller_arn(headers, query)
        if caller.endswith(":root"):
            return emulators_own(service, headers, query, request_id)
        message = f"User: {caller}: the local cloud does not know which permission this request to {service} needs"
        return iam_actions.access_denied_response(service, f"{service}:*", caller, request_id, message=message)

    app._authenticate_only = authenticate_only


def _install_denials() -> None:
    """Make every denial name its resource and carry a request id, as AWS's do.

    Without the id, the SDK inside the state machine engine fails to read the denial and reports ``States.Runtime``.
    """
    answer = iam_actions.access_denied_response

    def access_denied_response(
        service: str, action: str, principal_arn: str, request_id: str, **details: Any
    ) -> tuple[int, dict[str, str], bytes]:
        by_resource_policy = details.get("explicit_deny") and details.get("resource_policy_arn")
        worded = details.get("message") or details.get("error_code") or by_resource_policy
        if not worded and service not in _WORDED_BY_EMULATOR:
            resource = details.get("resource_arn", "*")
            named = f'"{resource}"' if service == "s3" else resource
            explicit = details.get("explicit_deny", False)
            details["message"] = iam_actions.identity_denial_message(action, principal_arn, named, explicit)
        status, headers, body = answer(service, action, principal_arn, request_id, **details)
        headers["x-amzn-requestid"] = request_id
        if service == "s3":
            headers["x-amz-request-id"] = request_id
        return status, headers, body

    iam_actions.access_denied_response = access_denied_response
