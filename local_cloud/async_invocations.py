"""Asynchronous invocations of Lambda functions: queue, retries, dead letters.

As AWS does it (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html): a function error
is retried twice unless the function's event invoke configuration says otherwise, after one minute and after two; a
throttled event goes back for up to six hours, after one second and then ever later up to five minutes, and does not
count as an attempt. What is left goes to the on-failure destination and to the function's dead-letter queue; an event
for a function whose reserved concurrency is zero goes there "without any retries"
(https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html). The waits are scaled down here
(``Waits``); order, number and outcome are not.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ministack.core.arn import parse_arn
from ministack.services import lambda_svc

from local_cloud import request_id
from local_cloud.faults import DeliverTwice, FaultPlan
from local_cloud.faults.base import FUNCTION
from local_cloud.iam import AccessDeniedError, RoleNotAssumableError, check_allowed, check_trust
from local_cloud.messages import NoSuchTargetError, publish_to_topic, scope_of, send_to_queue
from local_cloud.spool import Spool

_logger = logging.getLogger(__name__)
_DEFAULT_RETRIES = 2
_DEFAULT_AGE_SECONDS = 6 * 3600
_ERROR_MESSAGE_BYTES = 1024  # "Error message (truncated to 1 KB)"
_SWITCHED_OFF = "ZeroReservedConcurrency"
_NOT_INVOKED = {
    "body": {"errorMessage": "Function not invoked. Function is configured with zero reserved concurrent executions"},
    "throttle": True,
}


@dataclass(frozen=True)
class Waits:
    """How long Lambda's queue waits: ``error`` seconds before the first retry, ``throttle`` after a throttle."""

    error: float = 1.0  # AWS: 60
    throttle: float = 0.2  # AWS: 1
    throttle_most: float = 5.0  # AWS: 300


@dataclass(frozen=True)
class _Invocation:
    function: Mapping[str, Any]
    event: Any
    request_id: str
    started: float  # seconds since the epoch
    ticket: str  # in the spool; empty where it is not kept there
    attempts: int = 0  # that have failed before

    @property
    def config(self) -> Mapping[str, Any]:
        return self.function.get("config") or self.function

    @property
    def retry_settings(self) -> Mapping[str, Any]:
        configs = self.function.get("event_invoke_configs") or {}
        return self.function.get("event_invoke_config") or configs.get("$LATEST") or {}

    @property
    def is_switched_off(self) -> bool:
        """Whether the function's reserved concurrency was zero when the event came."""
        return self.function.get("concurrency") == 0

    def as_json(self, attempts: int) -> dict[str, Any]:
        return {
            "function": self.config["FunctionArn"],
            "event": self.event,
            "request_id": self.request_id,
            "started": self.started,
            "attempts": attempts,
        }


class AsyncInvocations:
    """Lambda's queue of asynchronous invocations.

    ``run`` executes a function once and returns the emulator's result: ``body``, ``error`` and ``throttle``. Lambda
    promises to deliver an event at least once; ``faults`` say when it is delivered twice. ``spool`` keeps the events
    for the next cloud, should this one be killed: ``recover`` there invokes their functions.
    """

    def __init__(
        self,
        run: Callable[[Mapping[str, Any], Any], Mapping[str, Any]],
        waits: Waits | None = None,
        faults: FaultPlan | None = None,
        spool: Spool | None = None,
    ) -> None:
        self._run = run
        self._spool = Spool() if spool is None else spool
        self._waits = waits or Waits()
        self._faults = FaultPlan() if faults is None else faults
        self._pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="async-invocation")
        self._closing = threading.Event()

    def submit(self, function: Mapping[str, Any], event: Any) -> None:
        """Queue an event for a function (the emulator's record of it); returns at once."""
        invocation = _Invocation(function, event, request_id.given() or str(uuid.uuid4()), time.time(), "")
        invocation = replace(invocation, ticket=self._spool.put(invocation.as_json(0)))
        self._pool.submit(self._process, invocation)
        twice = self._faults.take(DeliverTwice, FUNCTION, invocation.config["FunctionName"])
        if twice is not None:
            self._pool.submit(self._process_later, replace(invocation, ticket=""), twice.seconds)

    def recover(self) -> None:
        """Queue the events that an earlier cloud left in the spool; one that was being handled then is handled anew."""
        for ticket, kept in self._spool.waiting():
            arn = parse_arn(kept["function"])
            with scope_of(arn.account_id, arn.region):
                function, config, _name = lambda_svc._get_func_record_for_ref(kept["function"])
            if not function or not config:
                _logger.error("the event %s is lost: function %s does not exist any more", kept["request_id"], arn)
                self._spool.done(ticket)
                continue
            record = lambda_svc._execution_record_for_config(function, config)
            event = (kept["event"], kept["request_id"], kept["started"], ticket, kept["attempts"])
            self._pool.submit(self._process, _Invocation(record, *event))

    def close(self) -> None:
        """Stop; what waits stays in the spool, what runs is ended with its process."""
        self._closing.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _process_later(self, invocation: _Invocation, seconds: float) -> None:
        if not self._closing.wait(seconds):
            self._process(invocation)

    def _process(self, invocation: _Invocation) -> None:
        arn = parse_arn(invocation.config["FunctionArn"])
        try:
            with scope_of(arn.account_id, arn.region):
                dealt_with = self._invoke_until_done(invocation)
        except Exception:
            _logger.exception("asynchronous invocation of %s failed inside the local cloud", arn)
            dealt_with = True
        if dealt_with and invocation.ticket:
            self._spool.flush()
            self._spool.done(invocation.ticket)

    def _invoke_until_done(self, invocation: _Invocation) -> bool:
        """Invoke until it has gone well or for the last time; False where the cloud ends before."""
        if invocation.is_switched_off:
            self._give_up(invocation, _NOT_INVOKED, _SWITCHED_OFF, 0)
            return True
        settings = invocation.retry_settings
        retries = int(settings.get("MaximumRetryAttempts", _DEFAULT_RETRIES))
        deadline = invocation.started + float(settings.get("MaximumEventAgeInSeconds", _DEFAULT_AGE_SECONDS))
        attempts, throttles = invocation.attempts, 0
        while True:
            with request_id.using(invocation.request_id):
                result = self._run(invocation.function, invocation.event)
            if result.get("throttle"):
                wait = min(self._waits.throttle * 2**throttles, self._waits.throttle_most)
                throttles += 1
            elif result.get("error"):
                if self._closing.is_set():
                    return False  # the cloud itself has ended the function
                attempts += 1
                if attempts > retries:
                    self._give_up(invocation, result, "RetriesExhausted", attempts)
                    return True
                if invocation.ticket:
                    self._spool.update(invocation.ticket, invocation.as_json(attempts))
                wait = self._waits.error * 2 ** (attempts - 1)
            else:
                return True
            if time.time() + wait > deadline:
                self._give_up(invocation, result, "EventAgeExceeded", attempts)
                return True
            if self._closing.wait(wait):
                return False

    def _give_up(self, invocation: _Invocation, result: Mapping[str, Any], condition: str, attempts: int) -> None:
        name = invocation.config["FunctionName"]
        _logger.warning("function %s failed for good (%s after %d attempts)", name, condition, attempts)
        on_failure = (invocation.retry_settings.get("DestinationConfig") or {}).get("OnFailure") or {}
        if on_failure.get("Destination"):
            record = json.dumps(_failure_record(invocation, result, condition, attempts))
            self._send(invocation, on_failure["Destination"], record, {})
        dead_letters = (invocation.config.get("DeadLetterConfig") or {}).get("TargetArn")
        if dead_letters:
            body = result.get("body")
            message = body.get("errorMessage", "") if isinstance(body, dict) else str(body)
            attributes: dict[str, str | int] = {
                "RequestID": invocation.request_id,
                "ErrorCode": 429 if result.get("throttle") else 200,
                "ErrorMessage": message.encode()[:_ERROR_MESSAGE_BYTES].decode(errors="ignore") or "unknown",
            }
            self._send(invocation, dead_letters, json.dumps(invocation.event), attributes)

    def _send(self, invocation: _Invocation, target_arn: str, body: str, attributes: Mapping[str, str | int]) -> None:
        """Send with the function's own role: it needs sqs:SendMessage or sns:Publish."""
        name, role = invocation.config["FunctionName"], invocation.config["Role"]
        service = parse_arn(target_arn).service
        try:
            check_trust(role, service="lambda.amazonaws.com")
            action = {"sqs": "sqs:SendMessage", "sns": "sns:Publish"}.get(service)
            if action is None:
                raise NoSuchTargetError(f"{target_arn} is neither a queue nor a topic, and only these are known here")
            check_allowed(role, action, target_arn)
            if service == "sqs":
                send_to_queue(target_arn, body, attributes)
            else:
                publish_to_topic(target_arn, body, attributes)
        except (AccessDeniedError, NoSuchTargetError, RoleNotAssumableError) as problem:
            _logger.error("the failed event of function %s is lost: %s", name, problem)


def install(invocations: AsyncInvocations) -> None:
    """Let every asynchronous invocation (API, EventBridge, SNS, S3) go through this queue."""
    lambda_svc.invoke_async_with_retry = invocations.submit


def run_function(function: Mapping[str, Any], event: Any) -> Mapping[str, Any]:
    """Execute a function once through the emulator: concurrency, logs and metrics included."""
    result: Mapping[str, Any] = lambda_svc._execute_function_with_config_scope(function, event)
    return result


def _failure_record(
    invocation: _Invocation, result: Mapping[str, Any], condition: str, attempts: int
) -> dict[str, Any]:
    """https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html"""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    record = {
        "version": "1.0",
        "timestamp": now,
        "requestContext": {
            "requestId": invocation.request_id,
            "functionArn": f"{invocation.config['FunctionArn']}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": invocation.event,
    }
    if condition == _SWITCHED_OFF:  # nothing has answered
        return record
    return record | {
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": result.get("body"),
    }
