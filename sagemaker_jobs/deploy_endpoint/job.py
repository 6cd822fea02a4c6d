"""Puts the run's model into service behind the one endpoint."""

import math

from sagemaker_jobs.runner import Job
from sagemaker_jobs.settings import DeployEndpointSettings
from treering.aws.sagemaker import SageMakerHosting
from treering.clock import Deadline
from treering.contracts import DeployEndpointResult
from treering.environment import read_environment
from treering.keys import RESULT
from treering.steps import experiments
from treering.steps.deployment import ConfigSpec, Deployment, Guardrails, Hosting, ModelSpec
from treering.steps.retention import remove_old


def work(job: Job, hosting: Hosting | None = None) -> str:
    """Takes everything from the environment. Output: result.json."""
    settings = read_environment(DeployEndpointSettings, job.environ)
    started = job.clock.monotonic()
    hosting = hosting or SageMakerHosting()
    deadline = Deadline.after(settings.deploy_timeout_seconds, job.clock)
    # its numbers would mix two champions, and an update with guardrails may not change the variants
    ended = experiments.end(hosting, settings.endpoint_name, deadline)
    deployed = Deployment(
        hosting,
        endpoint_name=settings.endpoint_name,
        model=ModelSpec(
            name=settings.model_name,
            package_arn=settings.model_package_arn,
            role_arn=settings.model_role_arn,
        ),
        config=ConfigSpec(
            name=settings.model_name,
            model_name=settings.model_name,
            instance_type=settings.endpoint_instance_type,
            instance_count=settings.endpoint_instance_count,
        ),
        guardrails=Guardrails(
            shifting=settings.traffic_shifting,
            step_percent=settings.traffic_step_percent,
            wait_seconds=settings.traffic_wait_seconds,
            alarms=tuple(name for name in settings.rollback_alarms.split(",") if name),
            instances=settings.endpoint_instance_count,
            start_seconds=math.ceil(settings.deploy_timeout_seconds),
        ),
        tags={"treering:run": settings.treering_run_id, "treering:dataset-version": settings.treering_dataset_version},
        deadline=deadline,
    ).run()
    removed = remove_old(hosting, settings.model_name, settings.endpoint_name, settings.keep_models)
    result = DeployEndpointResult(
        run_id=settings.treering_run_id,
        dataset_version=settings.treering_dataset_version,
        endpoint_name=settings.endpoint_name,
        endpoint_config_name=settings.model_name,
        previous_endpoint_config_name=deployed.previous_config_name,
        model_name=settings.model_name,
        model_package_arn=settings.model_package_arn,
        model_data_url=settings.model_data_url,
        removed=removed,
        action=deployed.action,
        ended_experiment=ended.config_name if ended else None,
        seconds=round(job.clock.monotonic() - started, 3),
    )
    job.output.mkdir(parents=True, exist_ok=True)
    (job.output / RESULT).write_text(result.to_json(), "utf-8")
    instead = f" instead of {deployed.previous_config_name}" if deployed.action == "updated" else ""
    over = f" The experiment {ended.config_name} has ended." if ended else ""
    return (
        f"Endpoint {result.endpoint_name} is in service with {result.endpoint_config_name}{instead} "
        f"({result.action}, {result.seconds:.1f} s).{over}"
    )
