"""Where a model comes from: endpoint, configuration, model, model package, run, dataset version, raw files, source.

Every step is looked up, not assumed, and compared with what the step before says of it.
"""

from typing import Any

from cli import executions, history, registry
from cli.application import Application
from cli.errors import UsageError
from cli.lineage_data import DataWalk, Node
from cli.registry import ModelVersion
from treering import names


class Walk:
    """Walks back from an endpoint, a version or a run. With `verify`, all files are read and hashed."""

    def __init__(self, found: Application, *, verify: bool) -> None:
        self._found = found
        self._data = DataWalk(found, verify=verify)
        self._sagemaker = found.cloud.client("sagemaker")
        self._machines = found.cloud.client("stepfunctions")

    def endpoint(self, name: str | None = None) -> Node:
        """From an endpoint, the one in production if none is named. Raises UsageError where there is none."""
        name = name or self._found.stack.endpoint
        serving = registry.service(self._found, name)
        if serving is None:
            known = ", ".join(one["EndpointName"] for one in self._sagemaker.list_endpoints()["Endpoints"]) or "none"
            raise UsageError(
                f"There is no endpoint {name}; endpoints: {known}.",
                hint="`treering run` makes it; `treering lineage VERSION` starts from a version of the model registry.",
            )
        status, why = serving.endpoint["EndpointStatus"], serving.endpoint.get("FailureReason", "")
        node = Node("endpoint", name, {"status": status, "since": _minute(serving.endpoint["LastModifiedTime"])})
        node.check(status == "InService", "is in service", f"is {status}{': ' if why else ''}{why}")
        node.made_of.append(self._configuration(serving))
        return node

    def version(self, version: ModelVersion) -> Node:
        """From a version of the model registry."""
        node = Node("model package", version.arn, {"version": str(version.version), "approval": version.status})
        node.facts |= {name: version.metadata[name] for name in ("error", "code_version") if name in version.metadata}
        node.facts |= {"image": version.image, "registered": _minute(version.created_at)}
        node.check(version.status == registry.APPROVED, "is approved", f"is {version.status}")
        run = self._run(version.execution_arn, version.run_id, version.metadata.get("dataset_version"))
        node.made_of += [self._data.artefact(version), run]
        return node

    def run(self, run_id: str) -> Node:
        """From a run. Raises UsageError where no execution has that ID."""
        machine = self._found.stack.state_machine
        pages = self._machines.get_paginator("list_executions").paginate(stateMachineArn=machine)
        for execution in (execution for page in pages for execution in page["executions"]):
            if names.run_id(execution["executionArn"], execution["startDate"]) == run_id:
                return self._run(execution["executionArn"], run_id, None)
        raise UsageError(f"No execution has the run ID {run_id}.", hint="`treering history --json` shows the run IDs.")

    def _configuration(self, serving: registry.Service) -> Node:
        node = Node("configuration", serving.endpoint["EndpointConfigName"])
        if (config := node.there(serving.config)) is None:
            return node
        variant = config["ProductionVariants"][0]
        node.facts = {
            "variant": variant["VariantName"],
            "instances": f"{variant.get('InitialInstanceCount', '?')} of {variant.get('InstanceType', '?')}",
            "created": _minute(config["CreationTime"]),
        }
        child = Node("model", variant["ModelName"])
        node.made_of.append(child)
        if (model := child.there(serving.model)) is None:
            return node
        child.facts["created"] = _minute(model["CreationTime"])
        arn = child.there(serving.package_arn, "names its model package", "names no model package")
        if arn is None:
            return node
        package = registry.existing(self._sagemaker.describe_model_package, ModelPackageName=arn)
        found = child.there(package, "its model package is there", f"its model package {arn} was deleted")
        if found is not None:
            child.made_of.append(self.version(registry.version(found)))
        return node

    def _run(self, arn: str, run_id: str, dataset_version: str | None) -> Node:
        """A run; `dataset_version` is what the model says that it was trained on, if it says anything."""
        node = Node("run", run_id or "unknown")
        gone = f"its execution {arn or '(unknown)'} is not there"
        if (execution := node.there(self._execution(arn), "its execution is there", gone)) is None:
            return node
        given = execution.input["dataset"]
        node.facts = {"due": str(execution.input["scheduled_at"]), "status": execution.status, "execution": arn}
        outputs = [state.output for state in execution.states if isinstance(state.output, dict)]
        if package := history.find(outputs, "model_package_arn"):
            node.facts["registered as"] = package
        said = history.find(outputs, "run_id")
        node.check(said == run_id, "its execution made this run ID", f"its execution made the run ID {said}")
        if dataset_version is not None:
            trained = given["version"]
            other = f"its execution was started on dataset version {trained}, the model says {dataset_version}"
            node.check(trained == dataset_version, "model and execution name the same dataset version", other)
        node.made_of += [self._job(state) for _, state in execution.all_states() if state.job_name]
        if page := history.find(outputs, "report_uri"):
            node.made_of.append(self._data.report(page))
        node.made_of.append(self._data.dataset(given["version"], given["manifest_uri"]))
        return node

    def _job(self, state: history.StateRun) -> Node:
        node = Node("job", str(state.job_name), {"state": state.name})
        kind = "TrainingJob" if "createTrainingJob" in state.resource else "ProcessingJob"
        describe = self._sagemaker.describe_training_job
        if kind == "ProcessingJob":
            describe = self._sagemaker.describe_processing_job
        if (job := node.there(registry.existing(describe, **{f"{kind}Name": node.name}))) is not None:
            status = job[f"{kind}Status"]
            node.facts["status"] = status
            node.check(status == "Completed", "completed", f"is {status}")
        return node

    def _execution(self, arn: str) -> history.Execution | None:
        try:
            return executions.read(self._found.cloud, self._machines, arn) if arn else None
        except self._machines.exceptions.ExecutionDoesNotExist:
            return None


def _minute(at: Any) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
