"""Asynchronous invocations of Lambda functions: queue, retries, dead letters.

As AWS does it (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html): a function error
is retried twice unless the function's event invoke configuration says otherwise, after one minute and after two; a
throttled event goes back for up to six hours, after one second and then ever later up to five minutes, and does not
count as an attempt. What is left goes to the on-failure destination and to the function's dead-letter queue. The
waits are scaled down here (``Waits``); order, number and outcome are not.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ministack.core.arn import parse_arn
from ministack.services import lambda_svc

from local_cloud.iam import AccessDeniedError, RoleNotAssumableError, check_allowed, check_trust
from local_cloud.messages import NoSuchTargetError, publish_to_topic, scope_of, send_to_queue

_logger = logging.getLogger(__name__)
_DEFAULT_RETRIES = 2
_DEFAULT_AGE_SECONDS = 6 * 3600
_ERROR_MESSAGE_BYTES = 1024  # "Error message (truncated to 1 KB)"


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
    started: float

    @property
    def config(self) -> Mapping[str, Any]:
        return self.function.get("config") or self.function

    @property
    def retry_settings(self) -> Mapping[str, Any]:
        configs = self.function.get("event_invoke_configs") or {}
        return self.function.get("event_invoke_config") or configs.get("$LATEST") or {}


class AsyncInvocations:
    """Lambda's queue of asynchronous invocations.

    ``run`` executes a function once and returns the emulator's result: ``body``, ``error`` and ``throttle``.
    """

    def __init__(self, run: Callable[[Mapping[str, Any], Any], Mapping[str, Any]], waits: Waits | None = None) -> None:
        self._run = run
        self._waits = waits or Waits()
        self._pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="async-invocation")
        self._closing = threading.Event()

    def submit(self, function: Mapping[str, Any], event: Any) -> None:
        """Queue an event for a function (the emulator's record of it); returns at once."""
        self._pool.submit(self._process, _Invocation(function, event, str(uuid.uuid4()), time.monotonic()))

    def close(self) -> None:
        """Drop what waits; what runs is ended with its process."""
        self._closing.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _process(self, invocation: _Invocation) -> None:
        arn = parse_arn(invocation.config["FunctionArn"])
        try:
            with scope_of(arn.account_id, arn.region):
                self._invoke_until_done(invocation)
        except Exception:
            _logger.exception("asynchronous invocation of %s failed inside the local cloud", arn)

    def _invoke_until_done(self, invocation: _Invocation) -> None:
        settings = invocation.retry_settings
        retries = int(settings.get("MaximumRetryAttempts", _DEFAULT_RETRIES))
        deadline = invocation.started + float(settings.get("MaximumEventAgeInSeconds", _DEFAULT_AGE_SECONDS))
        attempts, throttles = 0, 0
        while True:
            result = self._run(invocation.function, invocation.event)
            if result.get("throttle"):
                wait = min(self._waits.throttle * 2**throttles, self._waits.throttle_most)
                throttles += 1
            elif result.get("error"):
                attempts += 1
                if attempts > retries:
                    self._give_up(invocation, result, "RetriesExhausted", attempts)
                    return
                wait = self._waits.error * 2 ** (attempts - 1)
            else:
                return
            if time.monotonic() + wait > deadline:
                self._give_up(invocation, result, "EventAgeExceeded", attempts)
                return
            if self._closing.wait(wait):
                return

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
                publish_to_topic(target_arn, body)
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
    return {
        "version": "1.0",
        "timestamp": now,
        "requestContext": {
            "requestId": invocation.request_id,
            "functionArn": f"{invocation.config['FunctionArn']}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": invocation.event,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": result.get("body"),
    }
