"""The same words everywhere: folder, resource, state, test and README row agree, and imports go one way."""

import ast
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from treering import use_case
from treering.steps.deployment import Guardrails

ROOT = Path(__file__).parents[2]
FUNCTIONS = sorted(p.name for p in (ROOT / "functions").iterdir() if (p / "app.py").exists())
JOBS = sorted(p.name for p in (ROOT / "sagemaker_jobs").iterdir() if (p / "__main__.py").exists())


class CloudFormationLoader(yaml.SafeLoader):
    """Reads a template; an intrinsic function becomes {"Fn": name, "Value": value}."""


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {"Fn": suffix, "Value": loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {"Fn": suffix, "Value": loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {"Fn": suffix, "Value": loader.construct_mapping(node, deep=True)}


CloudFormationLoader.add_multi_constructor("!", _intrinsic)
TEMPLATE = yaml.load((ROOT / "template.yaml").read_text(), CloudFormationLoader)  # noqa: S506 (a SafeLoader)
MACHINES = {
    path.name.removesuffix(".asl.yaml"): path.read_text() for path in (ROOT / "statemachine").glob("*.asl.yaml")
}
STATES = {name: state for text in MACHINES.values() for name, state in yaml.safe_load(text)["States"].items()}
README = (ROOT / "README.md").read_text()


def camel(name: str) -> str:
    """`create_run_id` → `CreateRunId`."""
    return "".join(part.capitalize() for part in name.split("_"))


def title(name: str) -> str:
    """`create_run_id` → `Create Run ID`."""
    return " ".join("ID" if part == "id" else part.capitalize() for part in name.split("_"))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_its_resource_role_log_group_test_event_and_readme_row(function: str) -> None:
    """`functions/<name>` is `<Name>Function`, with a role and a log group of its own, a test, an event and a row."""
    resources = TEMPLATE["Resources"]
    resource = resources[f"{camel(function)}Function"]

    assert resource["Metadata"]["DockerBuildArgs"] == {"FUNCTION": function}
    assert resource["Properties"]["ImageConfig"]["Command"] == [f"functions.{function}.app.handler"]
    assert resource["Properties"]["Role"] == {"Fn": "GetAtt", "Value": f"{camel(function)}FunctionRole.Arn"}
    assert resources[f"{camel(function)}FunctionLogGroup"]["Type"] == "AWS::Logs::LogGroup"
    assert (ROOT / "functions" / function / "requirements.txt").exists()
    assert (ROOT / "tests" / "unit" / "functions" / f"test_{function}.py").exists()
    assert list((ROOT / "events").glob(f"{function}*.json"))
    assert f"`functions/{function}`" in README


@pytest.mark.parametrize("job", JOBS)
def test_a_job_has_its_executable_role_state_test_and_readme_row(job: str) -> None:
    """`sagemaker_jobs/<name>` is started by the executable of its name; all but the endpoint's `serve` have a state."""
    executable = ROOT / "sagemaker_jobs" / "bin" / job

    assert os.access(executable, os.X_OK)
    assert f"sagemaker_jobs {job} " in executable.read_text()
    assert f"`sagemaker_jobs/{job}`" in README
    assert list((ROOT / "tests" / "unit" / "sagemaker_jobs").glob(f"test_{job}*.py"))
    roles = {"serve": "EndpointRole", "tune": "TrainJobRole"}  # tune reads and writes what train does
    assert roles.get(job, f"{camel(job)}JobRole") in TEMPLATE["Resources"]
    if job != "serve":
        assert [s for s in STATES if s.startswith(title(job))], f"no state is named after {job}"


def test_every_folder_of_functions_and_jobs_is_one() -> None:
    """Nothing lies in functions/ or sagemaker_jobs/ that no test here looks at."""
    folders = {p.name for p in (ROOT / "functions").iterdir() if p.is_dir() and p.name != "__pycache__"}
    jobs = {p.name for p in (ROOT / "sagemaker_jobs").iterdir() if p.is_dir() and p.name not in {"__pycache__", "bin"}}

    assert folders == set(FUNCTIONS)
    assert jobs == set(JOBS)
    assert {p.name for p in (ROOT / "sagemaker_jobs" / "bin").iterdir()} == set(JOBS)


@pytest.mark.parametrize("state", [s for s in STATES if STATES[s]["Type"] == "Task"])
def test_a_task_has_time_limit_retry_catch_and_keeps_its_input(state: str) -> None:
    """Every Task has a time limit, retries with backoff and jitter, a Catch, and says where its result goes."""
    definition = STATES[state]

    assert {"TimeoutSeconds", "TimeoutSecondsPath"} & definition.keys()
    assert "ResultPath" in definition
    assert definition["Catch"][-1]["ErrorEquals"] == ["States.ALL"]
    for retry in definition["Retry"]:
        assert retry["BackoffRate"] >= 1.5
        assert retry["JitterStrategy"] == "FULL"
        assert 1 <= retry["MaxAttempts"] <= 6
        assert "States.ALL" not in retry["ErrorEquals"]


def test_a_job_that_failed_is_tried_once_more() -> None:
    """An instance that was lost looks like a wrong program; the last retrier of every job's state gives one more try.

    But for the deployment to production: what an alarm has rolled back must not come before users twice.
    """
    for name, state in STATES.items():
        if state["Type"] == "Task" and "sagemaker" in state["Resource"] and ".sync" in state["Resource"]:
            last = state["Retry"][-1]
            if name == "Deploy Endpoint":
                assert "States.TaskFailed" not in last["ErrorEquals"]
                continue

            assert last["ErrorEquals"] == ["States.TaskFailed"], name
            assert last["MaxAttempts"] == 1


def _longest(state: dict[str, Any]) -> float:
    """Seconds that a Task may take with all tries and the waits between them."""
    one = state.get("TimeoutSeconds", TEMPLATE["Parameters"]["ApprovalDeadlineSeconds"]["MaxValue"])
    is_call = not any(pattern in state["Resource"] for pattern in (".sync", ".waitForTaskToken"))
    tries, waits = 1, 0.0
    for retry in state["Retry"]:
        delays = (retry["IntervalSeconds"] * retry["BackoffRate"] ** n for n in range(retry["MaxAttempts"]))
        waits += sum(min(delay, retry.get("MaxDelaySeconds", delay)) for delay in delays)
        # a job that ended Failed may have run for long; all other errors come before it runs
        if is_call or (".sync" in state["Resource"] and "States.TaskFailed" in retry["ErrorEquals"]):
            tries += retry["MaxAttempts"]
    return tries * one + waits


@pytest.mark.parametrize("machine", MACHINES)
def test_a_machine_has_time_for_all_its_states(machine: str) -> None:
    """Each tried as often and for as long as it may be: no execution is cut off while a state is still in time."""
    definition = yaml.safe_load(MACHINES[machine])
    tasks = {name: state for name, state in definition["States"].items() if state["Type"] == "Task"}
    tasks.pop("Tune", None)  # it or Train Random Forest, which may take as long

    assert definition["TimeoutSeconds"] > sum(_longest(state) for state in tasks.values())
    for state in tasks.values():
        if "startExecution" in state["Resource"]:
            assert state["TimeoutSeconds"] > yaml.safe_load(MACHINES["rollout"])["TimeoutSeconds"]


def test_a_job_has_time_for_all_that_its_parameters_allow() -> None:
    """State, job and SageMaker's update last longer than the job's own deadline, whatever the template is given."""
    most = {name: given.get("MaxValue") for name, given in TEMPLATE["Parameters"].items()}
    start, wait = most["DeployTimeoutSeconds"], most["TrafficWaitSeconds"]
    updates = [
        Guardrails(shifting, percent, wait, (), instances, start)
        for shifting in TEMPLATE["Parameters"]["TrafficShifting"]["AllowedValues"]
        for percent in range(TEMPLATE["Parameters"]["TrafficStepPercent"]["MinValue"], most["TrafficStepPercent"] + 1)
        for instances in range(1, most["EndpointInstanceCount"] + 1)
    ]
    longest = {"Deploy Staging Endpoint": start, "Deploy Endpoint": max(start + one.bake_seconds for one in updates)}

    assert all(one.longest_seconds == max(600, start + one.bake_seconds) for one in updates)  # never cut to eight hours
    for name, state in STATES.items():
        if state["Type"] == "Task" and state["Resource"].endswith("Job.sync"):
            limit = state["Parameters"]["StoppingCondition"].get("MaxRuntimeInSeconds", most["JobMaxRuntimeInSeconds"])

            assert limit > longest.get(name, 0), name
            assert state["TimeoutSeconds"] >= limit + 3600, name


def test_a_sagemaker_state_starts_the_entry_point_it_is_named_after() -> None:
    """The state `Deploy Endpoint` runs the executable `deploy_endpoint`, and so on."""
    for name, state in STATES.items():
        if state["Type"] == "Task" and "createProcessingJob" in state["Resource"]:
            (entry_point,) = state["Parameters"]["AppSpecification"]["ContainerEntrypoint"]

            assert title(entry_point) == name.replace(" Staging", "")
            assert entry_point in JOBS


def test_the_readme_names_every_state() -> None:
    """A reader of the flow table finds each state under its own name."""
    missing = [state for state in STATES if f"{state}" not in README]

    assert not missing


@pytest.mark.parametrize("machine", MACHINES)
def test_every_substitution_of_a_state_machine_is_given_and_used(machine: str) -> None:
    """`${Name}` in the definition and DefinitionSubstitutions in the template are the same set."""
    properties = TEMPLATE["Resources"][f"{camel(machine)}StateMachine"]["Properties"]

    assert properties["DefinitionUri"] == f"statemachine/{machine}.asl.yaml"
    assert set(re.findall(r"\$\{(\w+)\}", MACHINES[machine])) == set(properties["DefinitionSubstitutions"])


def test_no_two_machines_share_a_state_s_name() -> None:
    """A name in a log or a message says which machine it is of."""
    names = [name for text in MACHINES.values() for name in yaml.safe_load(text)["States"]]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("machine", MACHINES)
def test_a_state_machine_uses_no_yaml_alias(machine: str) -> None:
    """Step Functions refuses a definition with a YAML alias, whatever local tools make of it."""
    aliases = [event for event in yaml.parse(MACHINES[machine]) if isinstance(event, yaml.AliasEvent)]

    assert not aliases


def _imports(path: Path) -> set[str]:
    """Top-level modules, and for first-party ones the full names, that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _files(folder: str) -> list[Path]:
    return [p for p in (ROOT / folder).rglob("*.py") if "__pycache__" not in p.parts]


FORBIDDEN = {
    "treering": ("functions", "sagemaker_jobs", "local_cloud", "cli", "aws_lambda_powertools"),
    "functions": ("sagemaker_jobs", "local_cloud", "cli", "boto3", "botocore"),
    "sagemaker_jobs": ("functions", "local_cloud", "cli", "boto3", "botocore", "aws_lambda_powertools"),
    "local_cloud": ("treering", "functions", "sagemaker_jobs", "cli"),
    "cli": ("functions", "sagemaker_jobs"),
}


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_go_one_way(folder: str) -> None:
    """Entry points import treering, never the other way; the local cloud imports none of the application."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in _files(folder)
        for module in _imports(path)
        if module.split(".")[0] in FORBIDDEN[folder]
    ]

    assert not wrong


def test_boto3_is_imported_in_the_aws_adapters_only() -> None:
    """In the application, only treering/aws talks to AWS."""
    wrong = [
        str(path.relative_to(ROOT))
        for path in _files("treering")
        if "aws" not in path.relative_to(ROOT).parts
        and {module.split(".")[0] for module in _imports(path)} & {"boto3", "botocore"}
    ]

    assert not wrong


@pytest.mark.parametrize("name", use_case.names())
def test_only_the_use_case_knows_a_column(name: str) -> None:
    """No code, template or state machine names a column of a data set."""
    case = use_case.load(name)
    everyday_words = {"Id", "Street", "Fence", "Heating", "Foundation"}
    columns = {case.columns.key, case.target.column, *case.columns.features} - everyday_words
    words = re.compile("|".join(rf"(?<!\w){re.escape(column)}(?!\w)" for column in columns))
    found = {
        f"{path.relative_to(ROOT)}: {match.group()}"
        for folder in ("treering", "functions", "sagemaker_jobs", "local_cloud", "cli", "statemachine")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".yaml"}
        for match in words.finditer(path.read_text("utf-8"))
    }

    assert not found


PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES)
def test_links_and_paths_of_the_docs_exist(page: str) -> None:
    """Every relative link leads to a file, and every backquoted path of a folder or file of the project is there."""
    text = (ROOT / page).read_text("utf-8")
    links = [target.split("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target]
    named = re.findall(
        r"`((?:functions|sagemaker_jobs|treering|local_cloud|cli|events|tests|docs|\.github)/[\w./-]*)`", text
    )
    missing = [link for link in links if link and not ((ROOT / page).parent / link).exists()]
    missing += [path for path in named if not (ROOT / path).exists()]

    assert not missing
    assert "<!--" not in re.sub(r"<!-- (end of )?\w+ -->\n", "", text)  # between which benchmarks put their tables


def test_every_subject_is_one_that_sns_takes() -> None:
    """At most 100 characters without line breaks, in each environment; what happened stands in the message."""
    properties = (one.get("Properties") or {} for one in TEMPLATE["Resources"].values())
    projects = [one["DefinitionSubstitutions"]["Project"]["Value"] for one in properties if "DefinitionUri" in one]
    environments = TEMPLATE["Parameters"]["Environment"]["AllowedValues"]
    subjects = [
        text.replace("${Project}", project.replace("${Environment}", environment))
        for state in STATES.values()
        for name, text in {**state.get("Arguments", {}), **state.get("Parameters", {})}.items()
        if name.startswith("Subject")
        for project in projects
        for environment in environments
    ]

    assert subjects
    assert [one for one in subjects if "$" in one or "{%" in one or not one.isprintable() or len(one) > 100] == []
