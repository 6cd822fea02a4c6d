"""Waits that end when the execution does.

The engine sleeps through retry delays and waits for a task until the task itself returns; AWS ends an execution that is
stopped, timed out or failed in another branch at once. A task that is left behind this way can see it: its environment
no longer runs. What it still reports is dropped (see `history`).
"""

from __future__ import annotations

import copy
import functools
import threading
import time
from typing import Any

from moto.stepfunctions.parser.asl.component.common.retry.max_attempts_decl import MaxAttemptsOutcome
from moto.stepfunctions.parser.asl.component.common.retry.retrier_outcome import RetrierOutcome
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import EvalTimeoutError
from moto.stepfunctions.parser.asl.eval.callback.callback import HeartbeatTimedOut
from moto.stepfunctions.parser.utils import TMP_THREADS

from local_cloud.step_functions.engine import resume, runtime

#: How soon a wait notices that its execution has ended, seconds.
NOTICE_SECONDS = 0.1


def sleep_while_running(env: Any, seconds: float) -> None:
    """Sleep, but no longer than the execution runs."""
    deadline = time.monotonic() + seconds
    while env.is_running() and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, NOTICE_SECONDS))


def wait_interval(self: Any, env: Any, wait_seconds: float) -> None:
    """Wait as a Wait state does (replaces `WaitFunction._wait_interval`, which rounds to seconds)."""
    replay = resume.replay_of(env)
    sleep_while_running(env, wait_seconds if replay is None else replay.left_of_wait(self, wait_seconds))


def wait_for_heartbeats(_self: Any, env: Any, callback_endpoint: Any, heartbeat_endpoint: Any) -> Any:
    """Wait for a task token's answer (replaces `_wait_for_task_token_heartbeat`, which misses one that came before)."""
    while env.is_running():
        outcome = callback_endpoint.get_outcome()
        if outcome is not None:
            return outcome
        if not heartbeat_endpoint.clear_and_wait() and env.is_running():
            return callback_endpoint.get_outcome() or HeartbeatTimedOut()
    return None


def evaluate_retrier(self: Any, env: Any) -> None:
    """Decide on another attempt and wait for it (replaces `RetrierDecl._eval_body`)."""
    self.error_equals.eval(env)
    if not env.stack.pop():
        env.stack.append(RetrierOutcome.Skipped)
        return
    self.max_attempts.eval(env=env)
    if env.stack.pop() == MaxAttemptsOutcome.EXHAUSTED:
        env.stack.append(RetrierOutcome.Failed)
        return
    for step in (self.interval_seconds, self.backoff_rate, self.max_delay_seconds, self.jitter_strategy):
        step.eval(env=env)
    delay = min(env.stack.pop(), runtime.active().dependencies.longest_retry_wait)
    replay = resume.replay_of(env)
    sleep_while_running(env, delay if replay is None else replay.left_of_delay(delay))
    env.stack.append(RetrierOutcome.Executed)


def evaluate_with_timeout(self: Any, env: Any) -> None:
    """Run a state's work within its timeout (replaces `ExecutionState._evaluate_with_timeout`).

    Returns without a result where the execution ended meanwhile; raises `EvalTimeoutError` where the time is up.
    """
    self.timeout.eval(env=env)
    timeout_seconds: float = env.stack.pop()
    execute = self._eval_execution
    replay = resume.replay_of(env)
    attempt = None if replay is None else replay.attempt(self, env)
    if attempt is not None:  # of an earlier process
        if attempt.failed:
            raise resume.recorded_failure(env, attempt)
        if attempt.outcome is not None:
            _place_result(self, env, resume.recorded_result(attempt))
            return
        timeout_seconds = resume.seconds_left(attempt, timeout_seconds)
        execute = functools.partial(resume.go_on, self, attempt)
    frame = env.open_frame()
    frame.states.reset(input_value=env.states.get_input())
    frame.stack = copy.deepcopy(env.stack)
    outputs: list[Any] = []
    failures: list[Exception] = []
    done = threading.Event()

    def work() -> None:
        try:
            execute(frame)
            outputs.extend(frame.stack)
        except Exception as failure:  # handed to the state, which retries, catches or fails
            failures.append(failure)
        finally:
            done.set()

    worker = threading.Thread(target=work, name="states-task", daemon=True)
    TMP_THREADS.append(worker)
    worker.start()
    in_time = _wait(done, env, timeout_seconds)
    field = frame.next_field_name
    if not in_time:
        frame.event_history_context.closed = True
    frame.set_ended()
    env.close_frame(frame)
    if not env.is_running():
        return
    if not in_time:
        raise EvalTimeoutError()
    if failures:
        env.next_field_name = field  # the one that was being evaluated
        raise failures[0]
    _place_result(self, env, outputs.pop())


def _wait(done: threading.Event, env: Any, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not done.is_set():
        left = deadline - time.monotonic()
        if left <= 0 or not env.is_running():
            return False
        done.wait(min(left, NOTICE_SECONDS))
    return True


def _place_result(state: Any, env: Any, result: Any) -> None:
    env.stack.append(result)
    if not state._is_language_query_jsonpath():
        env.states.set_result(result)
    if state.assign_decl:
        state.assign_decl.eval(env=env)
    if state.result_selector:
        state.result_selector.eval(env=env)
    if state.result_path:
        state.result_path.eval(env)
    else:
        env.states.reset(input_value=env.stack.pop())
