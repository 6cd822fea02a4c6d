"""What must hold whatever went wrong: looked at after every scenario, by the same code."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from tests.faults.bucket import Bucket
from tests.faults.people import Message
from tests.faults.processes import containers

if TYPE_CHECKING:
    from tests.faults.bench import Bench

_SLOT = re.compile(r"-(\d{8}T\d{6}Z)$")  # end of the name of an execution that an event of the schedule started
_SETTLE_SECONDS = 10.0
_STOP_SECONDS = 60.0


@dataclass(frozen=True)
class Before:
    """How things stood when a scenario began."""

    moment: float  # monotonic seconds
    configuration: str  # of the endpoint
    price: float  # that it predicts for the house of the traffic
    versions: frozenset[str]
    executions: frozenset[str]  # their ARNs


class Checker:
    """Looks at one bench."""

    def __init__(self, bench: "Bench") -> None:
        self._bench = bench
        self.bucket = Bucket(bench)

    def before(self) -> Before:
        """Take note of how things stand."""
        return Before(
            moment=time.monotonic(),
            configuration=self._bench.endpoint().get("EndpointConfigName", ""),
            price=self._bench.predict(self._bench.traffic.row),
            versions=self.bucket.versions,
            executions=frozenset(execution.arn for execution in self._bench.executions()),
        )

    @property
    def versions(self) -> frozenset[str]:
        """Dataset versions that exist."""
        return self.bucket.versions

    def problems(self, before: Before, *, endpoint_may_fail: bool = False) -> list[str]:
        """What does not hold at a moment at which nothing should be under way."""
        return [
            *self.bucket.problems(),
            *self._twice(),
            *self._left_over(),
            *self._served(before, endpoint_may_fail),
        ]

    def _twice(self) -> Iterator[str]:
        """Executions that one event of the schedule started twice, or that still run."""
        executions = self._bench.executions()
        slots = Counter(match[1] for execution in executions if (match := _SLOT.search(execution.name)))
        yield from (f"{count} executions for the event of {slot}" for slot, count in slots.items() if count > 1)
        yield from (f"{execution.name} still runs" for execution in executions if execution.status == "RUNNING")

    def _left_over(self) -> Iterator[str]:
        """Jobs and processes that should have ended, endpoints that should not be there."""
        deadline = time.monotonic() + _STOP_SECONDS
        while (jobs := self._bench.jobs_under_way()) and time.monotonic() < deadline:
            time.sleep(0.1)  # a job that is asked to stop has time to do so
        yield from (f"job {name} is {status}" for name, status in jobs)
        while len(endpoints := self._endpoints()) > 1 and time.monotonic() < deadline:
            time.sleep(0.1)  # nor is an endpoint deleted at once
        if endpoints != [self._bench.outputs["EndpointName"]]:
            yield f"the endpoints are {', '.join(endpoints) or 'none'}"
        deadline = time.monotonic() + _SETTLE_SECONDS  # a server that was replaced has time for its last answers
        while True:
            running, servers = containers(self._bench.running.file.pid)
            if (not running and len(servers) == 1) or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        yield from (f"processes of the job {name} are left" for name in running)
        if len(servers) != 1:
            yield f"{len(servers)} model servers run: {', '.join(sorted(servers)) or 'none'}"

    def _endpoints(self) -> list[str]:
        listed = self._bench.client("sagemaker").list_endpoints()["Endpoints"]
        return [endpoint["EndpointName"] for endpoint in listed]

    def _served(self, before: Before, endpoint_may_fail: bool) -> Iterator[str]:
        """Whether whoever used the endpoint meanwhile saw only answers of the old model or of the new one."""
        told = self._bench.endpoint()
        if told.get("EndpointStatus") != "InService":
            yield f"the endpoint is {told.get('EndpointStatus', 'gone')}: {told.get('FailureReason', '')}"
            return
        now = self._answer(patient=endpoint_may_fail)
        if told["EndpointConfigName"] == before.configuration and now != before.price:
            yield f"the endpoint predicts {now}, before with the same configuration {before.price}"
        seen = self._bench.traffic.since(before.moment)
        errors = [request.error for request in seen if request.error]
        if errors and not endpoint_may_fail:
            yield f"{len(errors)} of {len(seen)} requests to the endpoint failed, first: {errors[0][:200]}"
        answers = [request.prediction for request in seen if request.prediction is not None]
        strange = set(answers) - {before.price, now}
        if strange and not endpoint_may_fail:
            yield f"the endpoint predicted {sorted(strange)[:3]}; the models in question: {before.price} and {now}"

    def _answer(self, *, patient: bool) -> float:
        """The endpoint's answer; `patient` is who asks while its container may just be started again."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while True:
            try:
                return self._bench.predict(self._bench.traffic.row)
            except ClientError:
                if not patient or time.monotonic() > deadline:
                    raise
            time.sleep(0.2)


def told_once(messages: list[Message], *expected: str) -> Iterator[str]:
    """Whether people read exactly these, each the outcome of an execution ("failed") or an alarm's name."""
    read = Counter(message.outcome or f"alarm {message.alarm}" for message in messages)
    if read != Counter(expected):
        listed = "; ".join(map(str, messages)) or "nothing"
        yield f"people should have read {', '.join(expected) or 'nothing'}, they read: {listed}"
