"""`treering status`: what is up, what it did last, and when it wakes up next."""

import argparse
import json
from typing import Any

from botocore.exceptions import ClientError

from cli import cloud as clouds
from cli import options, registry, under_way
from cli.application import Application, application
from cli.stack import weekly_rule
from cli.weekly_run import next_firing

SUMMARY = "show the cloud, the endpoint, what is under way, the last executions and the next wake-up"
EPILOG = """\
Under way are a rollout with what it waits for, models that wait for a person, an experiment. While an update of the
endpoint bakes, alarms watch it for the template's TrafficWaitSeconds by the cloud's clock, which goes as fast as
yours; `treering rollout --advance-clock` and the like move it on, and so does the call that is printed.
The exit code is 0 where a cloud is up, and 1 where none is.

examples:
  treering status
  treering status --json | jq .endpoint.status
"""
EXECUTIONS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    options.add_json(parser, "all of it")
    options.add_state(parser)


def execute(given: argparse.Namespace) -> int:
    """Print the status and return the exit code."""
    folder = given.state.resolve() / "cloud"
    if clouds.find(folder) is None:
        gone = clouds.killed(folder)
        text = f"{gone}: `treering up` starts it again with all that it had." if gone else ""
        answer = {"up": False, **({"killed": True} if gone else {})}
        print(json.dumps(answer) if given.json else text or f"No local cloud is up in {given.state}.")
        return 1
    found = describe(application(given.state))
    print(json.dumps(found, indent=2) if given.json else _text(found))
    return 0


def describe(found: Application) -> dict[str, Any]:
    """The status as JSON."""
    rule = weekly_rule(found.cloud, found.stack)
    now = found.cloud.now()
    machines = found.cloud.client("stepfunctions")
    listed = machines.list_executions(stateMachineArn=found.stack.state_machine)["executions"]
    listed.sort(key=lambda execution: execution["startDate"], reverse=True)
    return {
        "up": True,
        "cloud": {"endpoint": found.cloud.endpoint, "pid": found.cloud.pid, "started_at": found.cloud.started_at},
        "clock": now.isoformat(timespec="seconds"),
        "stack": {"name": found.stack.name, "status": found.stack.status},
        "data_source": found.choice.source,
        "rule": {
            "name": rule.name,
            "schedule": rule.schedule,
            "enabled": rule.enabled,
            "next": next_firing(rule, now).isoformat() if rule.enabled else None,
        },
        "endpoint": _endpoint(found),
        "under_way": under_way.read(found).model_dump(mode="json"),
        "executions": [
            {
                "name": execution["name"],
                "status": execution["status"],
                "started_at": execution["startDate"].isoformat(timespec="seconds"),
                "seconds": (execution["stopDate"] - execution["startDate"]).total_seconds()
                if execution.get("stopDate")
                else None,
            }
            for execution in listed[:EXECUTIONS]
        ],
    }


def _endpoint(found: Application) -> dict[str, Any] | None:
    """The endpoint as SageMaker describes it; none before the first run has made it."""
    try:
        described = found.cloud.client("sagemaker").describe_endpoint(EndpointName=found.stack.endpoint)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationException":  # what DescribeEndpoint answers for an unknown one
            return None
        raise
    return {
        "name": described["EndpointName"],
        "status": described["EndpointStatus"],
        "configuration": described["EndpointConfigName"],
        "version": registry.in_service(found),
        "failure_reason": described.get("FailureReason"),
    }


def _text(found: dict[str, Any]) -> str:
    rule, endpoint = found["rule"], found["endpoint"]
    lines = [
        f"cloud       {found['cloud']['endpoint']}, process {found['cloud']['pid']}, its clock says {found['clock']}",
        f"stack       {found['stack']['name']} {found['stack']['status']}, data from {found['data_source']}",
        f"rule        {rule['name']} {rule['schedule']}, " + (f"next {rule['next']}" if rule["next"] else "disabled"),
        f"endpoint    {endpoint['name']} {endpoint['status']}, "
        + (f"version {endpoint['version']}, " if endpoint["version"] else "")
        + f"configuration {endpoint['configuration']}"
        if endpoint
        else "endpoint    none yet: the first run makes it (`treering run`)",
    ]
    now = under_way.UnderWay.model_validate(found["under_way"])
    lines += now.lines()
    if until := next((one.until for one in now.rollouts if one.until), None):
        clock = f"{found['cloud']['endpoint']}/_local_cloud/clock"
        lines.append(f'            not to wait for it: curl -d \'{{"now": "{until:%Y-%m-%dT%H:%M:%SZ}"}}\' {clock}')
    for index, execution in enumerate(found["executions"]):
        took = f"{execution['seconds']:.1f} s" if execution["seconds"] is not None else "so far"
        label = "executions" if not index else ""
        lines.append(f"{label:<12}{execution['name']} {execution['status']}, {execution['started_at']}, {took}")
    if not found["executions"]:
        lines.append("executions  none yet")
    return "\n".join(lines)
