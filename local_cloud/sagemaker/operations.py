"""The operations that make, change and remove resources. Each takes a validated request and returns its answer."""

from collections.abc import Callable, Mapping
from typing import Any

from local_cloud.sagemaker import models
from local_cloud.sagemaker.deployment import Plan
from local_cloud.sagemaker.endpoints import Endpoint
from local_cloud.sagemaker.environment import ImageSpec, RoleNotAssumableError, SageMakerEnvironment
from local_cloud.sagemaker.errors import invalid
from local_cloud.sagemaker.guardrails import Guardrails
from local_cloud.sagemaker.jobs import notify
from local_cloud.sagemaker.model_registry import ModelRegistry
from local_cloud.sagemaker.names import ENDPOINT, ENDPOINT_CONFIG, MODEL, TRAINING_JOB, Kind
from local_cloud.sagemaker.past_jobs import is_over
from local_cloud.sagemaker.processing import ProcessingJob
from local_cloud.sagemaker.store import Store
from local_cloud.sagemaker.training import TrainingJob

Request = dict[str, Any]
Answer = dict[str, Any]
# AWS's words for a role that SageMaker cannot assume: those of jobs, and those of CreateModel
_NOT_ASSUMABLE = (
    "Could not assume role {role}. Please ensure that the role exists and allows principal 'sagemaker.amazonaws.com' "
    "to assume the role."
)
_INVALID_ROLE = (
    'The execution role ARN "{role}" is invalid. Please ensure that the role exists and that its trust relationship '
    'policy allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com".'
)


class Operations:
    """SageMaker's operations on the resources of a store."""

    def __init__(self, cloud: SageMakerEnvironment, store: Store) -> None:
        self._cloud, self._store = cloud, store
        self.registry = ModelRegistry(cloud, lambda container: self._check_package(container))

    def create_job(self, job_type: type[ProcessingJob] | type[TrainingJob], request: Request) -> Answer:
        """CreateProcessingJob, CreateTrainingJob."""
        kind = job_type.kind
        with self._store.reserved(kind, request) as arn:
            job_type.check(request)
            credentials = self._assume(request["RoleArn"], request[kind.name_member])
            job = job_type(self._cloud, request, self._image(job_type.image_uri(request)), credentials)
            if isinstance(job, TrainingJob):
                job.check_inputs()
            self._store.add(arn, job, request)
        job.start()
        return {kind.arn_member: arn}

    def stopper(self, kind: Kind) -> Callable[[Request], Answer]:
        """StopProcessingJob, StopTrainingJob.

        A training job that has ended is refused (https://github.com/awslabs/benchmark-ai/issues/928); of a processing
        job nothing of the kind is known.
        """

        def stop(request: Request) -> Answer:
            job = self._store.find(kind, request[kind.name_member])
            described = job.describe()
            if kind is TRAINING_JOB and is_over(kind, described):
                status = described["TrainingJobStatus"]
                raise invalid(f"The request was rejected because the training job is in status {status}.")
            job.stop()
            return {}

        return stop

    def create_model(self, request: Request) -> Answer:
        """CreateModel."""
        if "ExecutionRoleArn" not in request:
            raise invalid("CreateModel needs an ExecutionRoleArn: the role that reads the model's data.")
        with self._store.reserved(MODEL, request) as arn:
            container = self.registry.container(models.container_of(request))
            self.registry.require_approved(container)
            credentials = self._assume(request["ExecutionRoleArn"], request["ModelName"], _INVALID_ROLE)
            models.check_model(self._cloud, request["ExecutionRoleArn"], container, credentials)
            self._image(container["Image"])
            return self._keep(MODEL, arn, request)

    def create_endpoint_config(self, request: Request) -> Answer:
        """CreateEndpointConfig."""
        with self._store.reserved(ENDPOINT_CONFIG, request) as arn:
            models.check_config(request)
            for variant in (*request["ProductionVariants"], *request.get("ShadowProductionVariants", ())):
                self._store.find(MODEL, variant["ModelName"])
                variant.setdefault("InitialVariantWeight", 1.0)
            return self._keep(ENDPOINT_CONFIG, arn, request)

    def deleter(self, kind: Kind) -> Callable[[Request], Answer]:
        """DeleteModel, DeleteEndpointConfig. Endpoints that run keep what they were made from."""

        def delete(request: Request) -> Answer:
            self._store.remove(kind, request[kind.name_member])
            return {}

        return delete

    def create_endpoint(self, request: Request) -> Answer:
        """CreateEndpoint; a DeploymentConfig is kept for updates that retain it."""
        with self._store.reserved(ENDPOINT, request) as arn:
            plan = self._plan(request["EndpointConfigName"])
            guardrails = Guardrails(request.get("DeploymentConfig") or {})
            guardrails.check(plan.variants, plan.variants, self._cloud.alarm_state)
            endpoint = Endpoint(self._cloud, request["EndpointName"], plan, guardrails)
            self._store.add(arn, endpoint, request)
        endpoint.create()
        return {"EndpointArn": arn}

    def update_endpoint(self, request: Request) -> Answer:
        """UpdateEndpoint."""
        endpoint: Endpoint = self._store.find(ENDPOINT, request["EndpointName"])
        plan = self._plan(request["EndpointConfigName"])
        endpoint.check_updatable()
        # An endpoint whose own configuration was deleted cannot be updated any more: it can be deleted
        # (https://github.com/hashicorp/terraform-provider-aws/issues/48997).
        self._store.find(ENDPOINT_CONFIG, endpoint.plan.config_name)
        guardrails = Guardrails(request.get("DeploymentConfig") or {})
        if request.get("RetainDeploymentConfig"):
            if guardrails.config:
                raise invalid("Give either a DeploymentConfig or RetainDeploymentConfig, not both.")
            guardrails = endpoint.guardrails
        guardrails.check(endpoint.plan.variants, plan.variants, self._cloud.alarm_state)
        endpoint.update(plan, guardrails)
        return {"EndpointArn": endpoint.arn}

    def update_weights_and_capacities(self, request: Request) -> Answer:
        """UpdateEndpointWeightsAndCapacities."""
        endpoint: Endpoint = self._store.find(ENDPOINT, request["EndpointName"])
        endpoint.update_weights(request["DesiredWeightsAndCapacities"])
        return {"EndpointArn": endpoint.arn}

    def delete_endpoint(self, request: Request) -> Answer:
        """DeleteEndpoint."""
        endpoint: Endpoint = self._store.find(ENDPOINT, request["EndpointName"])
        endpoint.delete(lambda: self._store.remove(ENDPOINT, endpoint.name))
        return {}

    def add_tags(self, request: Request) -> Answer:
        """AddTags."""
        arn = request["ResourceArn"]
        if self.registry.has(arn):
            given = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
            self.registry.set_tags(arn, {**self.registry.tags(arn), **given})
        else:
            self._store.tag(arn, request["Tags"])
        return self.list_tags(request)

    def list_tags(self, request: Request) -> Answer:
        """ListTags; a resource has at most 50 tags, so there is one page."""
        arn = request["ResourceArn"]
        tags = self.registry.tags(arn) if self.registry.has(arn) else self._store.tags(arn)
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def delete_tags(self, request: Request) -> Answer:
        """DeleteTags."""
        arn, keys = request["ResourceArn"], request["TagKeys"]
        if self.registry.has(arn):
            self.registry.set_tags(arn, {key: tag for key, tag in self.registry.tags(arn).items() if key not in keys})
        else:
            self._store.untag(arn, keys)
        return {}

    def _keep(self, kind: Kind, arn: str, request: Request) -> Answer:
        record = {name: value for name, value in request.items() if name != "Tags"}
        record = {"EnableNetworkIsolation": False, **record, kind.arn_member: arn, "CreationTime": self._cloud.now()}
        self._store.add(arn, record, request)
        notify(self._cloud, kind.noun, dict(record))
        return {kind.arn_member: arn}

    def _plan(self, config_name: str) -> Plan:
        config = self._store.find(ENDPOINT_CONFIG, config_name)
        variants, shadows = config["ProductionVariants"], config.get("ShadowProductionVariants", [])
        found = {variant["ModelName"]: self._model(variant["ModelName"]) for variant in (*variants, *shadows)}
        return Plan(config_name, variants, found, shadows, config.get("DataCaptureConfig"))

    def _model(self, name: str) -> dict[str, Any]:
        """A model whose container has its image and artefact, also where a model package gives them."""
        model = self._store.find(MODEL, name)
        return {**model, "PrimaryContainer": self.registry.container(model["PrimaryContainer"])}

    def _check_package(self, container: Mapping[str, Any]) -> None:
        self._image(container["Image"])
        if not container.get("ModelDataUrl"):
            raise invalid("A container of a model package needs a ModelDataUrl here.")
        models.check_package_data(self._cloud, container["ModelDataUrl"])

    def _assume(self, role_arn: str, session_name: str, refusal: str = _NOT_ASSUMABLE) -> Mapping[str, str]:
        try:
            return self._cloud.credentials_for_role(role_arn, session_name)
        except RoleNotAssumableError as error:
            raise invalid(f"{refusal.format(role=role_arn)} ({error})") from error

    def _image(self, uri: str) -> ImageSpec:
        try:
            return self._cloud.resolve_image(uri)
        except LookupError as error:
            raise invalid(f"Requested image {uri} not found. ({error})") from error
