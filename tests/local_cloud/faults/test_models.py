"""What a fault may be, and what is said of one that makes no sense."""

import pytest

from local_cloud.faults import FaultRefusedError
from local_cloud.faults.models import KINDS, parse

LEAST = {
    "api_error": {},
    "api_delay": {"seconds": 1},
    "deliver_twice": {},
    "capacity": {},
    "kill": {"target": "job"},
    "instance_lost": {},
    "memory": {"megabytes": 64},
    "volume": {"megabytes": 1},
    "ping": {},
    "answer": {"status": 500},
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_told_of_a_fault_makes_the_same_fault(kind: str) -> None:
    """Each kind can be given by what it needs, and read back."""
    fault = parse({"kind": kind, **LEAST[kind]})

    assert parse(fault.as_json()) == fault
    assert fault.times == 1


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ("kill", "a fault is an object"),
        ({}, "there is no fault of kind None; there are api_error, api_delay"),
        ({"kind": "flood"}, "there is no fault of kind 'flood'; there are api_error"),
        ({"kind": ["kill"]}, "there is no fault of kind ['kill']"),
        ({"kind": "kill"}, "kill needs target"),
        ({"kind": "memory"}, "memory needs megabytes"),
        ({"kind": "api_delay"}, "api_delay needs seconds"),
        ({"kind": "kill", "target": "machine"}, "target is 'machine', but must be one of function, job, endpoint"),
        ({"kind": "kill", "target": "job", "pid": 1}, "kill has no 'pid'; it has times, name, config, variant, target"),
        ({"kind": "kill", "target": "job", "config": "elm-*"}, "config and variant are for the target endpoint"),
        ({"kind": "answer", "status": 500, "variant": ""}, "variant is '', but must be a text that is not empty"),
        ({"kind": "kill", "target": "job", "name": ""}, "name is '', but must be a text that is not empty"),
        ({"kind": "kill", "target": "job", "when": "soon"}, 'must be "start", "end", {"after_seconds": 1.5}'),
        ({"kind": "kill", "target": "job", "when": None}, 'when is None, but must be "start"'),
        ({"kind": "kill", "target": "job", "when": {"after_seconds": -1}}, "after_seconds"),
        ({"kind": "kill", "target": "job", "when": {"after_seconds": True}}, "after_seconds"),
        ({"kind": "kill", "target": "job", "when": {"when_log_says": ""}}, "when_log_says"),
        ({"kind": "kill", "target": "endpoint", "when": "end"}, "an endpoint does not end by itself"),
        ({"kind": "instance_lost", "when": 3}, "instance_lost: when is 3"),
        ({"kind": "capacity", "target": "function"}, "must be one of job, endpoint"),
        ({"kind": "capacity", "times": 0}, "times is 0, but must be a whole number of at least 1, or null for ever"),
        ({"kind": "capacity", "times": 1.5}, "a whole number"),
        ({"kind": "capacity", "times": True}, "a whole number"),
        ({"kind": "memory", "megabytes": 0}, "megabytes is 0"),
        ({"kind": "volume", "megabytes": "1"}, "megabytes is '1'"),
        ({"kind": "volume", "megabytes": 1, "target": "endpoint"}, "one of job, function"),
        ({"kind": "ping", "status": 200}, 'a whole number from 400 to 599, or "stall"'),
        ({"kind": "ping", "during": "deletion"}, 'must be "start" or "service"'),
        ({"kind": "ping", "give_up_seconds": "8"}, "a number of at least 0"),
        ({"kind": "answer"}, "give a status, a body or seconds"),
        ({"kind": "answer", "body": 1}, "body is 1, but must be a text"),
        ({"kind": "api_error", "status": 200}, "from 400 to 599"),
        ({"kind": "api_error", "after": "yes"}, "true or false"),
        ({"kind": "api_error", "after": True, "status": 500}, "the answer is lost"),
        ({"kind": "api_delay", "seconds": float("nan")}, "a number of at least 0"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_with_what_is_allowed(given: object, allowed: str) -> None:
    """Not at the moment at which it should strike."""
    with pytest.raises(FaultRefusedError) as refused:
        parse(given)

    assert allowed in str(refused.value)
