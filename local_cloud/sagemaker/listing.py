"""List… operations: filters, order, pages."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from local_cloud.sagemaker.api_model import members, operation
from local_cloud.sagemaker.errors import invalid
from local_cloud.sagemaker.names import Kind

_DEFAULT_PAGE = 10  # MaxResults: "The default value is 10"
# Filters by one value, and where a description has it: no training job here keeps its instances or has a plan
_EQUALS = {"WarmPoolStatusEquals": ("WarmPoolStatus", "Status"), "TrainingPlanArnEquals": ("TrainingPlanArn",)}
_MOMENTS = ("CreationTime", "LastModifiedTime")
_KNOWN = {
    *("NameContains", "StatusEquals", "SortBy", "SortOrder", "MaxResults", "NextToken"),
    *_EQUALS,
    *(f"{member}{side}" for member in _MOMENTS for side in ("After", "Before")),
}


def list_resources(
    operation_name: str, kind: Kind, request: Mapping[str, Any], descriptions: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """The answer of a List… operation out of the descriptions of all resources of a kind.

    A filter that is not known here is refused by its name: a list that leaves it out would be another one than AWS's.
    """
    if unknown := sorted(request.keys() - _KNOWN):
        raise invalid(
            f"The local cloud does not support {', '.join(unknown)} in {operation_name}. Leave it out here; on AWS it "
            "works."
        )
    output = members(operation(operation_name).output_shape)
    list_member = next(name for name, shape in output.items() if shape.type_name == "list")
    summary_members = members(output[list_member].member)  # type: ignore[attr-defined]
    found = [item for item in descriptions if _matches(kind, request, item)]
    key = {"Name": kind.name_member, "Status": f"{kind.noun}Status"}.get(request.get("SortBy", ""), "CreationTime")
    # the service model gives no default; the developer guide lists newest first
    found.sort(key=lambda item: (item[key], item[kind.name_member]), reverse=request.get("SortOrder") != "Ascending")
    start, size = _offset(request.get("NextToken")), request.get("MaxResults", _DEFAULT_PAGE)
    answer: dict[str, Any] = {
        list_member: [
            {name: item[name] for name in summary_members if name in item} for item in found[start : start + size]
        ]
    }
    if start + size < len(found):
        answer["NextToken"] = base64.b64encode(str(start + size).encode()).decode()
    return answer


def _matches(kind: Kind, request: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    if request.get("NameContains", "").lower() not in item[kind.name_member].lower():
        return False
    if "StatusEquals" in request and item.get(f"{kind.noun}Status") != request["StatusEquals"]:
        return False
    for name, path in _EQUALS.items():
        if name in request and _at(item, path) != request[name]:
            return False
    for member in _MOMENTS:
        moment = item.get(member)
        if isinstance(moment, datetime) and not (
            request.get(f"{member}After", float("-inf"))
            < moment.timestamp()
            < request.get(f"{member}Before", float("inf"))
        ):
            return False
    return True


def _at(item: Any, path: Iterable[str]) -> Any:
    for member in path:
        item = item.get(member) if isinstance(item, Mapping) else None
    return item


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.b64decode(token, validate=True))
    except (ValueError, binascii.Error) as error:
        raise invalid("Invalid NextToken: use the one of the page before.") from error
