"""Waits that end when the execution does.

The engine sleeps through retry delays and waits for a task until the task itself returns; AWS ends an execution that is
stopped, timed out or failed in another branch at once. A task that is left behind this way can see it: its environment
no longer runs. What it still reports is dropped (see `history`).
"""

from __future__ import annotations

import copy
import threading
import time
from typing import Any

from moto.stepfunctions.parser.asl.component.common.retry.max_attempts_decl import MaxAttemptsOutcome
from moto.stepfunctions.parser.asl.component.common.retry.retrier_outcome import RetrierOutcome
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import EvalTimeoutError
from moto.stepfunctions.parser.utils import TMP_THREADS

#: How soon a wait notices that its execution has ended, seconds.
NOTICE_SECONDS = 0.1


def sleep_while_running(env: Any, seconds: float) -> None:
    """Sleep, but no longer than the execution runs."""
    deadline = time.monotonic() + seconds
    while env.is_running() and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, NOTICE_SECONDS))


def wait_interval(_self: Any, env: Any, wait_seconds: float) -> None:
    """Wait as a Wait state does (replaces `WaitFunction._wait_interval`, which rounds to seconds)."""
    sleep_while_running(env, wait_seconds)


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
    sleep_while_running(env, env.stack.pop())
    env.stack.append(RetrierOutcome.Executed)


def evaluate_with_timeout(self: Any, env: Any) -> None:
    """Run a state's work within its timeout (replaces `ExecutionState._evaluate_with_timeout`).

    Returns without a result where the execution ended meanwhile; raises `EvalTimeoutError` where the time is up.
    """
    self.timeout.eval(env=env)
    timeout_seconds: float = env.stack.pop()
    frame = env.open_frame()
    frame.states.reset(input_value=env.states.get_input())
    frame.stack = copy.deepcopy(env.stack)
    outputs: list[Any] = []
    failures: list[Exception] = []
    done = threading.Event()

    def work() -> None:
        try:
            self._eval_execution(frame)
            outputs.extend(frame.stack)
        except Exception as failure:  # handed to the state, which retries, catches or fails
            failures.append(failure)
        finally:
            done.set()

    worker = threading.Thread(target=work, name="states-task", daemon=True)
    TMP_THREADS.append(worker)
    worker.start()
    in_time = _wait(done, env, timeout_seconds)
    if not in_time:
        frame.event_history_context.closed = True
    frame.set_ended()
    env.close_frame(frame)
    if not env.is_running():
        return
    if not in_time:
        raise EvalTimeoutError()
    if failures:
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
