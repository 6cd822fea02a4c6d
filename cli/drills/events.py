"""What SageMaker and CloudWatch put on the event bus: states of endpoint and alarms, some too short to be polled."""

import json
from typing import Any

from cli.application import Application
from cli.drills.queues import Queue

_RULE = "treering-drill-events"
_ENDPOINT, _ALARM = "SageMaker Endpoint State Change", "CloudWatch Alarm State Change"


class Events:
    """Reads the state changes of the production endpoint and of all alarms."""

    def __init__(self, found: Application) -> None:
        self._endpoint = found.stack.endpoint
        bus = found.cloud.client("events")
        pattern = {"source": ["aws.sagemaker", "aws.cloudwatch"], "detail-type": [_ENDPOINT, _ALARM]}
        rule = bus.put_rule(Name=_RULE, EventPattern=json.dumps(pattern))["RuleArn"]
        self._queue = Queue(found, _RULE, "events.amazonaws.com", rule)
        bus.put_targets(Rule=_RULE, Targets=[{"Id": "queue", "Arn": self._queue.arn}])
        self._events: list[dict[str, Any]] = []

    def forget(self) -> None:
        """Count from now on."""
        self._queue.read()
        self._events = []

    def statuses(self) -> list[str]:
        """The endpoint's statuses in their order, as events write them: UPDATING, ROLLING_BACK, IN_SERVICE, …"""
        details = [event["detail"] for event in self._all() if event["detail-type"] == _ENDPOINT]
        ours = [detail for detail in details if detail["EndpointName"] == self._endpoint]
        found: list[str] = []
        for detail in sorted(ours, key=lambda detail: int(detail["LastModifiedTime"])):
            if detail["EndpointStatus"] not in found[-1:]:
                found.append(detail["EndpointStatus"])
        return found

    def alarms(self) -> list[str]:
        """Names of the alarms that went into the state ALARM."""
        details = [event["detail"] for event in self._all() if event["detail-type"] == _ALARM]
        return [detail["alarmName"] for detail in details if detail["state"]["value"] == "ALARM"]

    def _all(self) -> list[dict[str, Any]]:
        self._events += self._queue.read()
        return self._events
