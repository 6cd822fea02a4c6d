"""Roles: the credentials a service gets when it assumes one, and who may hand one to a service.

Both rest on the emulator's policy evaluator and session registry, so that a job's own credentials are checked
like any other caller's.
"""

from __future__ import annotations

import json
import secrets
import string
import time
from collections.abc import Mapping
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam as iam_service
from ministack.services import sts as sts_service

from local_cloud.iam import evaluation
from local_cloud.iam.record import Denied

_KEY_ALPHABET = string.ascii_uppercase + "234567"
# A role session outlives every job (SageMaker stops a training job after 28 days at most, a local one within the hour).
_SESSION_SECONDS = 12 * 3600
_MAX_SESSION_NAME = 64  # sts:AssumeRole, RoleSessionName


class AccessDeniedError(Exception):
    """An identity policy does not allow what was asked; the message is worded as AWS words it."""


class RoleNotAssumableError(PermissionError):
    """A role does not exist, or its trust policy does not let the service assume it."""


def credentials_for_role(
    role_arn: str, session_name: str, *, service: str, source_arn: str | None = None
) -> dict[str, str]:
    """Return the environment variables of a session of a role that a service assumed.

    ``service`` is the service principal (``sagemaker.amazonaws.com``); ``source_arn`` becomes ``aws:SourceArn`` for
    conditions of the trust policy. The keys are AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.

    Raises RoleNotAssumableError, naming the role and the service.
    """
    role = check_trust(role_arn, service=service, source_arn=source_arn)
    account = _account_of(role_arn)
    name = _session_name(session_name)
    access_key = "ASIA" + "".join(secrets.choice(_KEY_ALPHABET) for _ in range(16))
    secret, token = secrets.token_urlsafe(30), secrets.token_urlsafe(96)
    sts_service.register_session(
        access_key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/{name}",
            "UserId": f"{role.get('RoleId', '')}:{name}",
            "AccountId": account,
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": time.time() + _SESSION_SECONDS,
        },
    )
    return {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}


def check_trust(role_arn: str, *, service: str, source_arn: str | None = None) -> Mapping[str, Any]:
    """Return the role's record if its trust policy lets ``service`` assume it, else raise RoleNotAssumableError."""
    account = _account_of(role_arn)
    role = iam_service._roles.get_scoped(account, None, role_arn.rpartition("/")[2])
    if role is None or role.get("Arn") != role_arn:
        raise RoleNotAssumableError(f"role {role_arn} does not exist, so {service} cannot assume it: create it first")
    if not _trusts(role.get("AssumeRolePolicyDocument") or "{}", role_arn, service, account, source_arn):
        raise RoleNotAssumableError(
            f"role {role_arn} does not trust {service}: its trust policy needs a statement that allows sts:AssumeRole "
            f'to the principal {{"Service": "{service}"}}'
        )
    return dict(role)


def check_pass_role(principal_arn: str, role_arn: str, *, service: str) -> None:
    """Raise AccessDeniedError unless the principal may pass the role to the service.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html: the action is ``iam:PassRole`` on
    the role's ARN, the service is the condition key ``iam:PassedToService``.
    """
    check_allowed(principal_arn, "iam:PassRole", role_arn, {"iam:PassedToService": service})


def check_allowed(principal: str, action: str, resource_arn: str, context: Mapping[str, object] | None = None) -> None:
    """Raise AccessDeniedError, in AWS's words, unless ``is_allowed``; an access key ID stands for its principal."""
    principal_arn = principal if principal.startswith("arn:") else _principal_of(principal)
    decision = _decide(principal_arn, action, resource_arn, context)
    if decision != "Allow":
        denied = Denied(principal_arn, action, resource_arn, explicit=decision == "Deny")
        raise AccessDeniedError(denied.message)


def is_allowed(principal_arn: str, action: str, resource_arn: str, context: Mapping[str, object] | None = None) -> bool:
    """Whether the identity policies of a principal allow an action on a resource.

    The principal is the account's root, a user, a role or a session of a role. ``context`` holds condition keys of
    the request. The policies of the resource itself are the emulator's business, where a request passes it.
    """
    return _decide(principal_arn, action, resource_arn, context) == "Allow"


def would_be_allowed(principal_arn: str, action: str, resource_arn: str, context: Mapping[str, object]) -> bool:
    """Say the same as ``is_allowed`` of what nobody has asked for: a yes counts as a use, a no is no denial."""
    asked = _asked(principal_arn, action, resource_arn, context)
    return asked is None or evaluation.allows(*asked)


def _principal_of(access_key_id: str) -> str:
    credential = iam_evaluator.resolve_credential(access_key_id)
    if isinstance(credential, iam_evaluator.CredentialResolutionError):
        raise AccessDeniedError(credential.message)
    return str(credential.principal_arn)


def _decide(principal_arn: str, action: str, resource_arn: str, context: Mapping[str, object] | None) -> str:
    """Return Allow, Deny (explicit) or ImplicitDeny, and record it."""
    asked = _asked(principal_arn, action, resource_arn, context)
    return "Allow" if asked is None else evaluation.decide(*asked)


def _asked(
    principal_arn: str, action: str, resource_arn: str, context: Mapping[str, object] | None
) -> tuple[Any, ...] | None:
    """Return what an evaluation takes: request, policies and limits of the principal; none for the account's root."""
    _arn, _partition, _service, _region, account, resource = principal_arn.split(":", 5)
    kind, _, name = resource.partition("/")
    if kind == "root":
        return None
    if kind == "assumed-role":
        name = name.partition("/")[0]
    name = name.rpartition("/")[2]
    is_user = kind == "user"
    owners = iam_service._users if is_user else iam_service._roles
    request = iam_evaluator.EvalContext(
        principal_arn=principal_arn,
        principal_type="User" if is_user else "AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource_arn,
        region=get_region(),
        service_context={key.lower(): value for key, value in (context or {}).items()},
        principal_keys=_tags_of(owners, name, account),
    )
    gather = iam_evaluator._gather_user_policies if is_user else evaluation.policies_of_role
    return request, gather(name, account), *iam_evaluator._permissions_boundary(owners, name, account)


def _tags_of(owners: Any, name: str, account: str) -> dict[str, str]:
    """Return the caller's tags as condition keys."""
    tags = (owners.get_scoped(account, None, name) or {}).get("Tags") or ()
    return {f"aws:principaltag/{tag['Key'].lower()}": tag["Value"] for tag in tags}


def _trusts(document: str | dict[str, Any], role_arn: str, service: str, account: str, source_arn: str | None) -> bool:
    """Whether a trust policy allows the service principal to assume the role (an explicit Deny wins)."""
    policy = json.loads(document) if isinstance(document, str) else document
    context: dict[str, Any] = {"aws:sourceaccount": account}
    if source_arn:
        context["aws:sourcearn"] = source_arn
    request = iam_evaluator.EvalContext(
        principal_arn="*",  # the service itself, no principal of the account: "*" matches, an account's ARN does not
        principal_type="Service",
        principal_account=account,
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region=get_region(),
        service_context=context,
    )
    return bool(iam_evaluator.evaluate_resource_policy(policy, request, service=service).decision == "Allow")


def _account_of(role_arn: str) -> str:
    parts = role_arn.split(":")
    if len(parts) < 6 or parts[2] != "iam" or not parts[5].startswith("role/"):
        raise RoleNotAssumableError(f"{role_arn!r} is no role's ARN, which reads arn:aws:iam::<account>:role/<name>")
    return parts[4] or str(get_account_id())


def _session_name(name: str) -> str:
    """Return ``name`` as a valid RoleSessionName: letters, digits and ``=,.@-``, 2 to 64 characters."""
    allowed = set(string.ascii_letters + string.digits + "+=,.@-_")
    cleaned = "".join(character if character in allowed else "-" for character in name)[:_MAX_SESSION_NAME]
    return cleaned if len(cleaned) >= 2 else f"session-{cleaned}"
