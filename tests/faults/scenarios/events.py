"""Events come twice, too late, in the wrong order; the clock goes wrong; two executions run at once."""

import threading
from datetime import datetime, timedelta
from typing import Any

from tests.faults.scenario import Scenario
from tests.faults.stage import Stage

_GROUP = "events"


def _event(when: datetime, number: int = 0) -> dict[str, Any]:
    return {"id": f"{when:%Y%m%d}-{number}", "time": when.isoformat(), "source": "aws.events"}


def _twice_by_lambda(stage: Stage) -> None:
    before = stage.clear(whole=False)
    stage.bench.arm({"kind": "deliver_twice", "name": "*-ingest"})
    ended, when = _reports(stage), stage.bench.fire()
    _two_more(stage, ended)
    stage.struck()
    stage.ingestion_succeeds(before, when)


def _twice_at_once(stage: Stage) -> None:
    """Two invocations, each with a request ID of its own."""
    before = stage.clear(whole=False)
    ended, when = _reports(stage), stage.bench.now()
    senders = [threading.Thread(target=stage.bench.send_event, args=(_event(when, n),)) for n in range(2)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    _two_more(stage, ended)
    stage.ingestion_succeeds(before, when)


def _again_later(stage: Stage) -> None:
    """The source has other data by then; the event is still that of the version it led to."""
    before = stage.clear(whole=False)
    ended, when = _reports(stage), stage.bench.fire()
    stage.ingestion_succeeds(before, when)
    stage.bench.source.serve_next_week()
    stage.bench.send_event(_event(when, 1))
    _two_more(stage, ended)
    stage.ingestion_succeeds(before, when)


def _out_of_order(stage: Stage) -> None:
    before = stage.clear(whole=False)
    late = stage.bench.next_week() - timedelta(days=3)
    when = stage.bench.fire()
    stage.ingestion_succeeds(before, when)
    stage.bench.send_event(_event(late))
    stage.ingestion_succeeds(before, late)


def _clock_back(stage: Stage) -> None:
    before = stage.clear(whole=False)
    bench = stage.bench
    ended, when = _reports(stage), bench.fire()
    stage.ingestion_succeeds(before, when)
    now = bench.now()
    bench.call("POST", "clock", {"now": (when - timedelta(days=3)).isoformat(), "fire": False})
    again = bench.fire()
    _two_more(stage, ended)
    bench.call("POST", "clock", {"now": max(now, bench.now()).isoformat(), "fire": False})
    stage.require(*(() if again == when else (f"after the clock went back the rule fired for {again}, not {when}",)))
    stage.ingestion_succeeds(before, when)


def _two_executions(stage: Stage) -> None:
    """Both train; they meet at the endpoints. Whatever serves then, an execution has tested it, or it served before."""
    before = stage.clear(whole=True)
    bench = stage.bench
    first = stage.begin()
    second = bench.start_again(first, "beside")
    ended = [bench.ended(arn) for arn in (first, second)]
    good = [execution for execution in ended if execution.status == "SUCCEEDED"]
    overtaken = [execution for execution in ended if execution.status == "FAILED"]
    bench.until(lambda: len(stage.read()) == 2, 15, "two messages to people")
    serving = bench.endpoint()["EndpointConfigName"]
    states = bench.client("stepfunctions")
    tested = [states.describe_execution(executionArn=execution.arn).get("output", "") for execution in good]
    fine = serving == before.configuration if not good else any(serving in output for output in tested)
    told = [str(message.content.get("execution")) for message in stage.read()]
    stage.require(
        *(f"{e.name} ended {e.status}" for e in ended if e not in (*good, *overtaken)),
        *(f"it failed otherwise: {e}" for e in overtaken if not any(word in e.cause for word in _OVERTAKEN)),
        *(() if fine else (f"{serving} serves, which no execution has tested",)),
        *(() if sorted(told) == sorted((first, second)) else (f"people read of {told}",)),
        *stage.checker.problems(before),
    )
    if good:
        bench.source.deployed()
    else:
        stage.runs_again(before, first, failed=2)


_OVERTAKEN = (  # what the errors say of an endpoint that is in another's hands
    "expected InService",
    "Cannot update in-progress endpoint",
    "Cannot create already existing endpoint",
    "There is no endpoint",
    "Could not find endpoint",
    "was deleted while",
    "was rolled back",
)


def _reports(stage: Stage) -> int:
    """How many invocations of the ingest function have ended."""
    bench = stage.bench
    group = f"/aws/lambda/{bench.outputs['IngestFunctionName']}"
    pages = bench.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    return sum(event["message"].startswith("REPORT ") for page in pages for event in page["events"])


def _two_more(stage: Stage, before: int) -> None:
    """Wait until two invocations more have ended."""
    stage.bench.until(lambda: _reports(stage) >= before + 2, 30, "end of the second invocation")


SCENARIOS = (
    Scenario(
        "event-twice",
        _GROUP,
        "Lambda delivers the event twice at the same moment",
        "Ingest",
        "one version, one execution",
        _twice_by_lambda,
        ingestion=True,
    ),
    Scenario(
        "event-twice-at-once",
        _GROUP,
        "two invocations with the same event at the same moment",
        "Ingest",
        "one at a time; one version, one execution",
        _twice_at_once,
        ingestion=True,
    ),
    Scenario(
        "event-again-later",
        _GROUP,
        "the event comes again when the source has other data",
        "Ingest",
        "nothing: it was dealt with; one version, one execution",
        _again_later,
        ingestion=True,
    ),
    Scenario(
        "events-out-of-order",
        _GROUP,
        "an older event comes after a newer one",
        "Ingest",
        "an execution of its own on the same version",
        _out_of_order,
        ingestion=True,
    ),
    Scenario(
        "clock-set-back",
        _GROUP,
        "the clock is set back, so that the week comes again",
        "schedule, Ingest",
        "nothing: the instant was dealt with; one execution",
        _clock_back,
        ingestion=True,
    ),
    Scenario(
        "two-executions",
        _GROUP,
        "two executions at once",
        "all states",
        "each succeeds, or was overtaken at an endpoint, as its error says; what serves was tested, or served before",
        _two_executions,
    ),
)
