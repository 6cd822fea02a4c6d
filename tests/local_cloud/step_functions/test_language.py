"""The Amazon States Language, feature by feature."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from tests.local_cloud.step_functions.cloud import CallError, Cloud, instant, output
from tests.local_cloud.step_functions.front_door import FrontDoor

INVOKE = "arn:aws:states:::lambda:invoke"


def one(state: dict[str, Any], **others: Any) -> dict[str, Any]:
    """A machine of one state and its companions."""
    return {"StartAt": "S", "States": {"S": state, **others}}


def call_f(**fields: Any) -> dict[str, Any]:
    """Make a Task that calls the function f."""
    return {
        "Type": "Task",
        "Resource": INVOKE,
        "Parameters": {"FunctionName": "f", "Payload.$": "$"},
        "End": True,
        **fields,
    }


def test_context_object_names_execution_machine_and_state(cloud: Cloud) -> None:
    """$$ holds the execution's ID, name, input and start, the state and the state machine, in AWS's forms."""
    described = cloud.run(one({"Type": "Pass", "Parameters": {"all.$": "$$"}, "End": True}), {"a": 1})

    context = output(described)["all"]
    assert context["Execution"]["Id"] == described["executionArn"]
    assert context["Execution"]["Name"] == described["name"]
    assert context["Execution"]["Input"] == {"a": 1}
    assert abs(instant(context["Execution"]["StartTime"]).timestamp() - described["startDate"]) < 0.002
    assert context["State"]["Name"] == "S"
    assert context["State"]["RetryCount"] == 0
    assert instant(context["State"]["EnteredTime"])
    assert context["StateMachine"]["Id"] == described["stateMachineArn"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("States.Format('{}-{}', $.name, $.number)", "abc-7"),
        ("States.JsonToString($.object)", '{"k":[1,2]}'),
        ("States.ArrayGetItem($.object.k, 1)", 2),
        ("States.StringToJson($.text)", {"x": True}),
        ("States.ArrayGetItem(States.StringSplit($.name, 'b'), 0)", "a"),
        ("States.MathAdd($.number, 1)", 8),
        ("States.Format('t-{}', $$.Execution.StartTime)", None),
    ],
)
def test_intrinsic_functions(cloud: Cloud, expression: str, expected: Any) -> None:
    """Intrinsic functions give what AWS's do."""
    data = {"name": "abc", "number": 7, "object": {"k": [1, 2]}, "text": '{"x": true}'}
    described = cloud.run(one({"Type": "Pass", "Parameters": {"r.$": expression}, "End": True}), data)

    result = output(described)["r"]
    if expected is None:
        assert instant(result.removeprefix("t-"))
    else:
        assert result == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("States.Format('ü — € 😀 {}', $.a)", "ü — € 😀 A"),
        (r"States.Format('the model\'s error is {}, run {}', $.a, $.b)", "the model's error is A, run B"),
        (r"""States.Format('\{"a": {}\}', $.a)""", '{"a": A}'),
        (r"States.Format('C:\\x {}', $.a)", "C:\\x A"),
        ("States.Format('one\ntwo (a, b) {}', $.a)", "one\ntwo (a, b) A"),
        ("States.Format('{}{}{}', $.a, 1.5, true)", "A1.5true"),
        ("States.Format($.template, $.a)", "<A>"),
        (r"States.StringSplit('it\'s', 's')", ["it'"]),
        ("States.Array(null, $.a, 1, -2.5, 'x', true, null)", [None, "A", 1, -2.5, "x", True, None]),
        ("States.Array( $['a'], $.list[?(@.k=='ü, )')].v ,$$.Execution.Input.b)", ["A", [1], "B"]),
        ("States.Array()", []),
    ],
)
def test_texts_in_intrinsic_functions(cloud: Cloud, expression: str, expected: Any) -> None:
    """Any character, the four escapes, null and paths come through as they are written."""
    data = {"a": "A", "b": "B", "template": "<{}>", "list": [{"k": "ü, )", "v": 1}, {"k": "v", "v": 2}]}

    assert (
        output(cloud.run(one({"Type": "Pass", "Parameters": {"r.$": expression}, "End": True}), data))["r"] == expected
    )


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (r"""\\{ "name": 1 \\}""", "Invalid template in States.Format: matching '}' not found for '{'."),
        ("{0} {0}", "Invalid template in States.Format: matching '}' not found for '{'."),
        ("{} {}", "Invalid arguments in States.Format"),
    ],
)
def test_a_template_with_stray_braces_fails_when_it_is_evaluated(cloud: Cloud, template: str, reason: str) -> None:
    """As on AWS, the state machine is created and the state fails."""
    state = {"Type": "Pass", "Parameters": {"r.$": f"States.Format('{template}', $.a)"}, "End": True}
    described = cloud.run(one(state), {"a": "A"})

    assert (described["status"], described["error"]) == ("FAILED", "States.IntrinsicFailure")
    assert reason in described["cause"]


@pytest.mark.parametrize(
    "expression",
    [
        "States.Format('it's', $.a)",
        r"States.Format('a\nb')",
        "States.Format('a' $.a)",
        "States.Array('a',)",
        "States.No()",
    ],
)
def test_a_function_that_cannot_be_read_is_refused(cloud: Cloud, expression: str) -> None:
    """No part of a function is left out in silence."""
    with pytest.raises(CallError, match="must be a valid JSONPath or a valid intrinsic function call"):
        cloud.create(one({"Type": "Pass", "Parameters": {"r.$": expression}, "End": True}))


def test_texts_beside_functions_keep_their_characters(cloud: Cloud) -> None:
    """State names, variables, values that are compared and paths may hold any character."""
    definition = {
        "StartAt": 'A "ü"',
        "States": {
            'A "ü"': {"Type": "Pass", "Assign": {"v": 'ü\n"x"/ 😀'}, "Next": "B"},
            "B": {
                "Type": "Pass",
                "Parameters": {'ü "k".$': "$['ä']", "one.$": "$.list[?(@.k=='ü')].v", "v.$": "$v"},
                "Next": "C?",
            },
            "C?": {
                "Type": "Choice",
                "Choices": [{"Variable": "$['ü \"k\"']", "StringEquals": "ß 😀", "Next": "D"}],
                "Default": "E",
            },
            "D": {"Type": "Pass", "End": True},
            "E": {"Type": "Fail"},
        },
    }
    result = output(cloud.run(definition, {"ä": "ß 😀", "list": [{"k": "ü", "v": 1}]}))

    assert result == {'ü "k"': "ß 😀", "one": [1], "v": 'ü\n"x"/ 😀'}


PATHS = {
    "x": {"y": [{"z": "v"}, {"z": "w"}]},
    "FinalMetricDataList": [{"MetricName": "rmse", "Value": 0.5}],
    "Outputs": [{"S3Output": {"S3Uri": "u"}}],
    "one": [{"b": {"c": "x"}}],
    "empty": [],
    "numbers": [1, 2, 3],
    "table": [["p", "q"]],
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$.FinalMetricDataList[0].Value", 0.5),
        ("$.Outputs[0].S3Output", {"S3Uri": "u"}),
        ("$.Outputs[0].S3Output.S3Uri", "u"),
        ("$['x']['y'][1]['z']", "w"),
        ("$.table[0][1]", "q"),
        ("$.table[0]", ["p", "q"]),
        ("$.numbers[-1]", 3),
        ("States.Format('{}', $.x.y[0].z)", "v"),
        ("$$.Execution.Input.x.y[0].z", "v"),
        ("$.one[*].b.c", ["x"]),
        ("$.one[0:1].b.c", ["x"]),
        ("$.one[?(@.b.c=='x')].b.c", ["x"]),
        ("$..c", ["x"]),
        ("$.one[?(@.b.c=='y')].b.c", []),
        ("$.FinalMetricDataList[?(@.MetricName=='none')]", []),
        ("$.empty[*].b", []),
        ("$.none[*].b", []),
        ("$.numbers[0,2]", [1, 3]),
        ("$.numbers[1:]", [2, 3]),
    ],
)
def test_a_definite_path_gives_a_value_and_any_other_an_array(cloud: Cloud, path: str, expected: Any) -> None:
    """Whether a path gives a value or an array is said by the path, not by what it finds."""
    state = {"Type": "Pass", "Parameters": {"r.$": path}, "End": True}

    assert output(cloud.run(one(state), PATHS))["r"] == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$v", PATHS),
        ("$v.x.y[0].z", "v"),
        ("$v['x']['y'][1]['z']", "w"),
        ("$v.one[*].b.c", ["x"]),
        ("$v.one[?(@.b.c=='x')].b.c", ["x"]),
        ("$v.numbers[1:]", [2, 3]),
        ("$v.empty[*].b", []),
        ("States.ArrayLength($v.one[*].b)", 1),
    ],
)
def test_a_path_into_a_variable_is_read_as_any_other(cloud: Cloud, path: str, expected: Any) -> None:
    """What a JSONPath state reads of a variable is JSONPath, too."""
    keep = {"Type": "Pass", "Assign": {"v.$": "$"}, "Next": "T"}
    described = cloud.run(one(keep, T={"Type": "Pass", "Parameters": {"r.$": path}, "End": True}), PATHS)

    assert output(described)["r"] == expected


def test_a_path_to_nothing_in_a_variable_fails(cloud: Cloud) -> None:
    """It is no null; a Choice may ask whether it is present."""
    keep = {"Type": "Pass", "Assign": {"v.$": "$"}, "Next": "T"}
    rule = {"Variable": "$v.none", "IsPresent": False, "Next": "Read"}
    described = cloud.run(
        one(
            keep,
            T={"Type": "Choice", "Choices": [rule]},
            Read={"Type": "Pass", "Parameters": {"r.$": "$v.none"}, "End": True},
        )
    )

    assert (described["status"], described["error"]) == ("FAILED", "States.Runtime")
    assert "The JSONPath '$v.none'" in described["cause"]


@pytest.mark.parametrize("path", ["$.none", "$.numbers[3]", "$.x.y[0].none", "$[0:1]"])
def test_a_path_to_nothing_fails(cloud: Cloud, path: str) -> None:
    """A definite path without a value fails the execution."""
    described = cloud.run(one({"Type": "Pass", "Parameters": {"r.$": path}, "End": True}), PATHS)

    assert (described["status"], described["error"]) == ("FAILED", "States.Runtime")
    assert f"The JSONPath '{path}'" in described["cause"]


def test_a_choice_compares_the_member_of_an_element(cloud: Cloud) -> None:
    """A rule about a metric of a training job holds, instead of leading to the default without a word."""
    rule = {"Variable": "$.FinalMetricDataList[0].Value", "NumericLessThan": 1, "Next": "Good"}
    definition = one(
        {"Type": "Choice", "Choices": [rule], "Default": "Bad"}, Good={"Type": "Succeed"}, Bad={"Type": "Fail"}
    )

    assert cloud.run(definition, PATHS)["status"] == "SUCCEEDED"


def test_retry_counts_up_and_waits_by_its_policy(cloud: Cloud, door: FrontDoor) -> None:
    """A retried task sees $$.State.RetryCount rise from 0; backoff, jitter and MaxDelaySeconds are accepted."""
    seen: list[int] = []

    def flaky(event: dict[str, Any]) -> str:
        seen.append(event["retry"])
        if len(seen) < 3:
            raise ValueError("not yet")
        return "done"

    door.functions["f"] = flaky
    retry = {
        "ErrorEquals": ["ValueError"],
        "IntervalSeconds": 1,
        "BackoffRate": 2,
        "MaxDelaySeconds": 1,
        "JitterStrategy": "FULL",
        "MaxAttempts": 3,
    }
    parameters = {"FunctionName": "f", "Payload": {"retry.$": "$$.State.RetryCount"}}
    described = cloud.run(one(call_f(Parameters=parameters, Retry=[retry], OutputPath="$.Payload")))

    assert output(described) == "done"
    assert seen == [0, 1, 2]


def test_waits_between_tries_can_be_kept_short(door: FrontDoor) -> None:
    """A wait of an hour is cut to what the neighbours allow; the number of tries stays."""
    door.functions["f"] = lambda _: 1 / 0
    retry = {"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 3600, "MaxAttempts": 2}
    cloud = Cloud(door, longest_retry_wait=0.01)
    try:
        described = cloud.run(one(call_f(Retry=[retry])))
    finally:
        cloud.service.close()

    assert described["error"] == "ZeroDivisionError"
    assert len(door.requests("lambda:InvokeFunction")) == 3


def test_exhausted_retries_are_caught_with_error_and_cause_beside_the_input(cloud: Cloud, door: FrontDoor) -> None:
    """Catch puts Error and Cause at its ResultPath and keeps the input; a Fail state passes both on."""
    door.functions["f"] = lambda _: 1 / 0
    definition = one(
        call_f(
            Retry=[{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "MaxAttempts": 1}],
            Catch=[{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Tell"}],
        ),
        Tell={"Type": "Pass", "Next": "End"},
        End={"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "States.Format('{}: {}', $.id, $.error.Cause)"},
    )
    described = cloud.run(definition, {"id": "i-1"})

    assert described["status"] == "FAILED"
    assert described["error"] == "ZeroDivisionError"
    assert described["cause"].startswith('i-1: {"errorType":"ZeroDivisionError"')
    assert len(door.requests("lambda:InvokeFunction")) == 2


@pytest.mark.parametrize("name", ["States.TaskFailed", "States.Timeout", "My.Error"])
def test_a_fail_state_may_pass_on_any_error_name(cloud: Cloud, name: str) -> None:
    """A Fail state whose Error comes from its input may name the service's own errors."""
    described = cloud.run(one({"Type": "Fail", "ErrorPath": "$.e", "Cause": "c"}), {"e": name})

    assert (described["status"], described["error"], described["cause"]) == ("FAILED", name, "c")


def test_wildcards_do_not_catch_runtime_errors(cloud: Cloud) -> None:
    """States.ALL does not catch States.Runtime: a missing path fails the execution."""
    state = call_f(
        Parameters={"FunctionName": "f", "Payload.$": "$.missing"},
        Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
    )
    described = cloud.run(one(state, Caught={"Type": "Succeed"}))

    assert (described["status"], described["error"]) == ("FAILED", "States.Runtime")
    assert "$.missing" in described["cause"]


def test_task_failed_does_not_catch_a_timeout(cloud: Cloud, door: FrontDoor) -> None:
    """States.TaskFailed catches any error but States.Timeout, and the late answer leaves no trace in the history."""
    too_late = threading.Event()
    door.functions["f"] = lambda _: too_late.wait(60)
    state = call_f(
        TimeoutSeconds=1,
        Catch=[
            {"ErrorEquals": ["States.TaskFailed"], "Next": "Wrong"},
            {"ErrorEquals": ["States.Timeout"], "Next": "Right"},
        ],
    )
    machine = one(
        state,
        Wrong={"Type": "Fail"},
        Right={"Type": "Wait", "Seconds": 1, "Next": "Done"},
        Done={"Type": "Pass", "Result": "r", "End": True},
    )
    execution = cloud.start(cloud.create(machine))
    cloud.wait_for(execution, "TaskTimedOut")
    too_late.set()
    described = cloud.ended(execution)

    assert output(described) == "r"
    types = [event["type"] for event in cloud.history(described["executionArn"])]
    assert "TaskTimedOut" in types
    assert "TaskSucceeded" not in types


def test_choice_parallel_map_and_wait(cloud: Cloud) -> None:
    """Choice follows the first rule that holds; Parallel and Map collect in order; Wait reads its seconds by path."""
    definition = {
        "StartAt": "Wait",
        "States": {
            "Wait": {"Type": "Wait", "SecondsPath": "$.seconds", "Next": "Question?"},
            "Question?": {
                "Type": "Choice",
                "Choices": [
                    {
                        "And": [
                            {"Variable": "$.n", "IsPresent": True},
                            {"Variable": "$.n", "NumericGreaterThan": 2},
                        ],
                        "Next": "Both",
                    }
                ],
                "Default": "No",
            },
            "No": {"Type": "Fail"},
            "Both": {
                "Type": "Parallel",
                "Branches": [
                    {"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": "a", "End": True}}},
                    {"StartAt": "B", "States": {"B": {"Type": "Pass", "Parameters": {"n.$": "$.n"}, "End": True}}},
                ],
                "ResultPath": "$.both",
                "Next": "Each",
            },
            "Each": {
                "Type": "Map",
                "ItemsPath": "$.items",
                "ItemSelector": {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value"},
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "INLINE"},
                    "StartAt": "Item",
                    "States": {"Item": {"Type": "Pass", "End": True}},
                },
                "ResultPath": "$.each",
                "End": True,
            },
        },
    }
    result = output(cloud.run(definition, {"seconds": 0, "n": 3, "items": ["x", "y"]}))

    assert result["both"] == ["a", {"n": 3}]
    assert result["each"] == [{"i": 0, "v": "x"}, {"i": 1, "v": "y"}]


def test_an_unmatched_choice_fails_by_name(cloud: Cloud) -> None:
    """A Choice without a matching rule and without a Default fails with States.NoChoiceMatched."""
    choices = [{"Variable": "$.a", "StringEquals": "b", "Next": "T"}]
    described = cloud.run(one({"Type": "Choice", "Choices": choices}, T={"Type": "Succeed"}), {"a": "c"})

    assert (described["status"], described["error"]) == ("FAILED", "States.NoChoiceMatched")


def test_a_failed_branch_fails_the_parallel_state_with_its_error(cloud: Cloud) -> None:
    """The error of a branch, even a States.* one, is the Parallel state's, and can be caught."""
    definition = one(
        {
            "Type": "Parallel",
            "Branches": [
                {"StartAt": "A", "States": {"A": {"Type": "Fail", "ErrorPath": "$.e"}}},
                {"StartAt": "B", "States": {"B": {"Type": "Wait", "Seconds": 60, "End": True}}},
            ],
            "Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "T"}],
            "End": True,
        },
        T={"Type": "Pass", "Parameters": {"caught.$": "$.Error"}, "End": True},
    )

    assert output(cloud.run(definition, {"e": "States.Timeout"})) == {"caught": "States.Timeout"}


def test_too_much_data_ends_the_execution(cloud: Cloud, door: FrontDoor) -> None:
    """A result above 256 KiB is States.DataLimitExceeded, which States.ALL does not catch."""
    door.functions["f"] = lambda _: "x" * 300_000
    state = call_f(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "T"}])
    described = cloud.run(one(state, T={"Type": "Succeed"}))

    assert (described["status"], described["error"]) == ("FAILED", "States.DataLimitExceeded")


@pytest.mark.parametrize(
    "state",
    [
        call_f(Parameters={"FunctionName": "f", "Payload": {"a.$": "$.a", "b.$": "$.a"}}),
        call_f(Resource="arn:aws:lambda:us-east-1:000000000000:function:f", Parameters={"a.$": "$.a", "b.$": "$.a"}),
        {"Type": "Pass", "Assign": {"a.$": "$.a", "b.$": "$.a"}, "End": True},
    ],
)
def test_too_many_parameters_or_variables_end_the_execution(
    cloud: Cloud, door: FrontDoor, state: dict[str, Any]
) -> None:
    """What Parameters make of the input, and what one Assign sets, may have 256 KiB; no function gets more."""
    described = cloud.run(one(state), {"a": "x" * 140_000})

    assert (described["status"], described["error"]) == ("FAILED", "States.DataLimitExceeded")
    assert door.requests("lambda:InvokeFunction") == []


def test_the_size_of_data_is_that_of_utf_8(cloud: Cloud) -> None:
    """A letter with an umlaut counts as two bytes, not as the six of its escape; text is shown as it is."""
    functions = {"a.$": "States.Format('{}{}{}', $.a, $.a, $.a)", "text.$": "States.JsonToString($.b)"}
    described = cloud.run(one({"Type": "Pass", "Parameters": functions, "End": True}), {"a": "ü" * 40_000, "b": ["ü"]})

    assert output(described) == {"a": "ü" * 120_000, "text": '["ü"]'}


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_in_json_is_an_intrinsic_failure(cloud: Cloud, token: str) -> None:
    """Python writes NaN and Infinity, which are no JSON: AWS cannot parse them."""
    state = {"Type": "Pass", "Parameters": {"r.$": "States.StringToJson($.text)"}, "End": True}
    described = cloud.run(one(state), {"text": f'{{"passed": true, "r2": {token}}}'})

    assert (described["status"], described["error"]) == ("FAILED", "States.IntrinsicFailure")
    assert token in described["cause"]


def test_a_function_that_answers_nan_fails_its_task(cloud: Cloud, door: FrontDoor) -> None:
    """The answer of a function, too, is JSON only."""
    door.functions["f"] = lambda _: {"r2": float("nan")}
    described = cloud.run(one(call_f()))

    assert (described["status"], described["error"]) == ("FAILED", "States.Runtime")
    assert "Non-standard token 'NaN'" in described["cause"]


def test_a_number_beyond_all_floats_ends_the_execution(cloud: Cloud) -> None:
    """No output holds Infinity."""
    described = cloud.ended(
        cloud.call("StartExecution", stateMachineArn=cloud.create(one({"Type": "Succeed"})), input='{"a": 1e999}')[
            "executionArn"
        ]
    )

    assert (described["status"], described["error"]) == ("FAILED", "States.Runtime")


def test_the_machine_times_out(cloud: Cloud) -> None:
    """TimeoutSeconds of the machine ends the execution as TIMED_OUT, with the event that says so."""
    definition = {"TimeoutSeconds": 1, **one({"Type": "Wait", "Seconds": 60, "End": True})}
    described = cloud.run(definition)

    assert described["status"] == "TIMED_OUT"
    assert cloud.history(described["executionArn"])[-1]["type"] == "ExecutionTimedOut"
    assert "stopDate" in described


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("{% $states.input.name & '-' & $states.context.State.Name %}", 'say "hi"-S'),
        ("{% $sum($states.input.numbers) %}", 6),
        ("{% $partition([1..5], 2) %}", [[1, 2], [3, 4], [5]]),
        ("{% $range(0, 10, 5) %}", [0, 5, 10]),
        ("{% $hash('a', 'SHA-256') %}", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        ("{% $length($uuid()) %}", 36),
        ("{% $parse('{\"a\":1}').a %}", 1),
        ("{% $kept %}", 'say "hi"'),
    ],
)
def test_jsonata(cloud: Cloud, expression: str, expected: Any) -> None:
    """A JSONata machine evaluates expressions, Step Functions' own functions, and variables with quotes in them."""
    definition = {
        "QueryLanguage": "JSONata",
        "StartAt": "Keep",
        "States": {
            "Keep": {"Type": "Pass", "Assign": {"kept": "{% $states.input.name %}"}, "Next": "S"},
            "S": {"Type": "Pass", "Output": expression, "End": True},
        },
    }

    assert output(cloud.run(definition, {"name": 'say "hi"', "numbers": [1, 2, 3]})) == expected


def test_a_broken_jsonata_expression_is_a_query_evaluation_error(cloud: Cloud) -> None:
    """An expression that cannot be evaluated fails the state with States.QueryEvaluationError."""
    state = {"Type": "Pass", "Output": "{% $number('x') %}", "End": True}
    described = cloud.run({"QueryLanguage": "JSONata", **one(state)})

    assert (described["status"], described["error"]) == ("FAILED", "States.QueryEvaluationError")


def test_a_task_waits_for_its_token(cloud: Cloud, door: FrontDoor) -> None:
    """waitForTaskToken goes on with SendTaskSuccess, and fails with SendTaskFailure's error and cause."""
    door.functions["f"] = lambda _: None
    parameters = {"FunctionName": "f", "Payload": {"token.$": "$$.Task.Token"}}
    machine = cloud.create(one(call_f(Resource=f"{INVOKE}.waitForTaskToken", Parameters=parameters)))

    first = cloud.start(machine)
    cloud.wait_for(first, "TaskSubmitted")
    token = door.requests("lambda:InvokeFunction")[0]["Payload"]["token"]
    cloud.call("SendTaskHeartbeat", taskToken=token)
    cloud.call("SendTaskSuccess", taskToken=token, output=json.dumps({"ok": 1}))
    second = cloud.start(machine)
    cloud.wait_for(second, "TaskSubmitted")
    token = door.requests("lambda:InvokeFunction")[1]["Payload"]["token"]
    cloud.call("SendTaskFailure", taskToken=token, error="Bad", cause="because")

    assert output(cloud.ended(first)) == {"ok": 1}
    failed = cloud.ended(second)
    assert (failed["error"], failed["cause"]) == ("Bad", "because")


def test_an_answer_counts_once(cloud: Cloud, door: FrontDoor) -> None:
    """A second answer, when the execution has ended, is told that the task is closed; a made-up token is refused."""
    door.functions["f"] = lambda _: None
    parameters = {"FunctionName": "f", "Payload": {"token.$": "$$.Task.Token"}}
    execution = cloud.start(cloud.create(one(call_f(Resource=f"{INVOKE}.waitForTaskToken", Parameters=parameters))))
    cloud.wait_for(execution, "TaskSubmitted")
    token = door.requests("lambda:InvokeFunction")[0]["Payload"]["token"]
    cloud.call("SendTaskSuccess", taskToken=token, output="1")
    cloud.ended(execution)
    with pytest.raises(CallError) as again:
        cloud.call("SendTaskFailure", taskToken=token)
    with pytest.raises(CallError) as made_up:
        cloud.call("SendTaskSuccess", taskToken="made-up", output="1")
    with pytest.raises(CallError) as no_json:
        cloud.call("SendTaskSuccess", taskToken=token, output='{"a": NaN}')

    assert no_json.value.code == "InvalidOutput"
    assert again.value.code == "TaskTimedOut"
    assert made_up.value.code == "InvalidToken"


def test_variables_pass_from_a_catcher_to_a_later_state(cloud: Cloud, door: FrontDoor) -> None:
    """Assign in a Catch keeps the failed state's name for intrinsic functions and paths of later states."""
    state = call_f(
        Catch=[
            {
                "ErrorEquals": ["States.ALL"],
                "Assign": {"failed_state.$": "$$.State.Name"},
                "ResultPath": "$.failure",
                "Next": "Tell",
            }
        ]
    )
    tell = {
        "Type": "Pass",
        "Parameters": {"text.$": "States.Format('{}!', $failed_state)", "name.$": "$failed_state"},
        "End": True,
    }

    assert output(cloud.run(one(state, Tell=tell))) == {"text": "S!", "name": "S"}


def test_a_failing_intrinsic_function_can_be_caught(cloud: Cloud, door: FrontDoor) -> None:
    """A function that cannot be evaluated is States.IntrinsicFailure, which States.ALL catches."""
    state = call_f(
        Parameters={"FunctionName": "f", "Payload": {"x.$": "States.StringToJson($.text)"}},
        Catch=[{"ErrorEquals": ["States.ALL"], "Next": "T"}],
    )
    result = output(cloud.run(one(state, T={"Type": "Pass", "End": True}), {"text": "{"}))

    assert result["Error"] == "States.IntrinsicFailure"
