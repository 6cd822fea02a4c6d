"""Which actions AWS knows, and which resources it lets a policy name for them.

The facts are AWS's own (Service Authorization Reference, https://docs.aws.amazon.com/service-authorization/latest/reference/,
"Actions, resources, and condition keys for AWS services"), in the form in which cfn-lint brings them along.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from local_cloud.policy_language.conditions import like

# The reference lists a resource type (dataset) that is none of a metric's. What limits PutMetricData is its namespace:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/iam-cw-condition-keys-namespace.html
LIMITED_BY_CONDITION = {"cloudwatch:putmetricdata": "cloudwatch:namespace"}


class FactsMissingError(RuntimeError):
    """The installed cfn-lint has the reference elsewhere."""


def takes_resource(action: str) -> bool:
    """Whether AWS knows a resource for an action, so that ``*`` is more than it needs; also for what AWS does not know.

    An action with wildcards takes one where any that it covers does, which is asked here of its service alone.
    """
    service, _, name = action.lower().partition(":")
    known = actions_of(service)
    if "*" in name or "?" in name or name not in known:
        return True
    return bool(known[name])


def services() -> frozenset[str]:
    """Return the prefixes of all services' actions, such as ``states``."""
    return frozenset(_facts())


def actions_of(service: str) -> Mapping[str, frozenset[str]]:
    """Return a service's actions in lower case, without its prefix, each with the types of resources it takes."""
    return _facts().get(service, {})


def matching_actions(pattern: str) -> list[str]:
    """Return the actions of a service, named as in ``actions_of``, that an action of a policy stands for."""
    service, _, name = pattern.lower().partition(":")
    return [action for action in actions_of(service) if like(action, name)]


@cache
def _facts() -> dict[str, dict[str, frozenset[str]]]:
    found = importlib.util.find_spec("cfnlint")  # found, not imported: that takes a second
    folder = Path(next(iter(found.submodule_search_locations or ()), "")) if found else Path()
    try:
        read = json.loads((folder / "data" / "AdditionalSpecs" / "Policies.json").read_text("utf-8"))
    except OSError as error:
        raise FactsMissingError(
            f"cfn-lint's service authorization reference cannot be read ({error}): "
            "install the versions of requirements/dev.txt"
        ) from error
    return {
        service: {name: frozenset(facts.get("Resources", ())) for name, facts in about.get("Actions", {}).items()}
        for service, about in read.items()
    }
