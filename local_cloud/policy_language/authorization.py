"""Which actions AWS lets a policy name a resource for.

The facts are AWS's own (Service Authorization Reference, https://docs.aws.amazon.com/service-authorization/latest/reference/,
"Actions, resources, and condition keys for AWS services"), in the form in which cfn-lint brings them along.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

# The reference lists a resource type (dataset) that is none of a metric's. What limits PutMetricData is its namespace:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/iam-cw-condition-keys-namespace.html
LIMITED_BY_CONDITION = {"cloudwatch:putmetricdata": "cloudwatch:namespace"}


def takes_resource(action: str) -> bool:
    """Whether AWS knows a resource for an action, so that ``*`` is more than it needs; also for what AWS does not know.

    An action with wildcards takes one where any that it covers does, which is asked here of its service alone.
    """
    service, _, name = action.lower().partition(":")
    actions: dict[str, Any] = (_facts().get(service) or {}).get("Actions") or {}
    if "*" in name or "?" in name or name not in actions:
        return True
    return bool(actions[name].get("Resources"))


@cache
def _facts() -> dict[str, Any]:
    place = resources.files("cfnlint.data.AdditionalSpecs") / "Policies.json"
    facts: dict[str, Any] = json.loads(place.read_text("utf-8"))
    return facts
