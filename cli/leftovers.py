"""What of an environment is still there and costs money, asked of AWS or of the local cloud."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cli.costs import MONTH_HOURS, Prices

_GIGABYTE = 1024**3


Clients = Callable[[str], Any]  # gives a client of an AWS service


@dataclass(frozen=True)
class Leftover:
    """Something that is there: what it costs in a month (none where that is not known), and how to remove it."""

    kind: str
    name: str
    month: float | None
    remove: str


@dataclass
class Found:
    """What was found, and what could not be asked."""

    leftovers: list[Leftover] = field(default_factory=list)
    not_asked: list[str] = field(default_factory=list)  # with the reason

    @property
    def costly(self) -> list[Leftover]:
        """What costs money, the dearest first."""
        paid = [item for item in self.leftovers if item.month is None or item.month > 0]
        return sorted(paid, key=lambda item: -(item.month or 0))


def find(clients: Clients, project: str, stack: str, prices: Prices) -> Found:
    """Look for all that belongs to the project (`treering-<environment>`) and its stack."""
    found = Found()
    looks: list[tuple[str, Callable[[], Iterable[Leftover]]]] = [
        ("endpoints", lambda: _endpoints(clients("sagemaker"), project, prices)),
        ("jobs", lambda: _jobs(clients("sagemaker"), project, prices)),
        ("models", lambda: _free(clients("sagemaker"), project)),
        ("buckets", lambda: _buckets(clients("s3"), stack, prices)),
        ("alarms", lambda: _alarms(clients("cloudwatch"), stack, prices)),
        ("secrets", lambda: _secrets(clients("secretsmanager"), stack, prices)),
        ("log groups", lambda: _log_groups(clients("logs"), project, prices)),
        ("image repositories", lambda: _repositories(clients("ecr"), prices)),
        ("stack", lambda: _stack(clients("cloudformation"), stack)),
    ]
    for what, look in looks:
        try:
            found.leftovers += look()
        except (ClientError, BotoCoreError) as error:
            found.not_asked.append(f"{what}: {error}")
    return found


def _endpoints(client: Any, project: str, prices: Prices) -> Iterable[Leftover]:
    for page in client.get_paginator("list_endpoints").paginate(NameContains=project):
        for endpoint in page["Endpoints"]:
            name = endpoint["EndpointName"]
            described = client.describe_endpoint(EndpointName=name)
            try:
                config = client.describe_endpoint_config(EndpointConfigName=described["EndpointConfigName"])
                hour = sum(
                    prices.instance_hour[variant["InstanceType"]] * variant["InitialInstanceCount"]
                    for variant in [*config["ProductionVariants"], *config.get("ShadowProductionVariants", [])]
                )
                month: float | None = hour * MONTH_HOURS
            except (ClientError, KeyError):  # a configuration that was deleted, or a type without a price
                month = None
            remove = f"aws sagemaker delete-endpoint --endpoint-name {name}"
            yield Leftover("endpoint", f"{name} ({endpoint['EndpointStatus']})", month, remove)


def _jobs(client: Any, project: str, prices: Prices) -> Iterable[Leftover]:
    del prices  # a job ends by itself, within its own limit
    for kind in ("processing", "training"):
        listed = getattr(client, f"list_{kind}_jobs")(NameContains=project, StatusEquals="InProgress", MaxResults=100)
        title = kind.capitalize()
        for job in listed[f"{title}JobSummaries"]:
            name = job[f"{title}JobName"]
            stop = f"aws sagemaker stop-{kind}-job --{kind}-job-name {name}"
            yield Leftover(f"{kind} job under way", name, None, stop)


def _free(client: Any, project: str) -> Iterable[Leftover]:
    for operation, member, name, words in (
        ("list_models", "Models", "ModelName", "models"),
        ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", "endpoint configurations"),
        ("list_model_package_groups", "ModelPackageGroupSummaryList", "ModelPackageGroupName", "model package groups"),
    ):
        listed = getattr(client, operation)(NameContains=project, MaxResults=100)[member]
        count = sum(project in item[name] for item in listed)
        if count:
            yield Leftover(
                words, str(count), 0.0, f"aws sagemaker {operation.replace('_', '-')} --name-contains {project}"
            )


def _buckets(client: Any, stack: str, prices: Prices) -> Iterable[Leftover]:
    for bucket in client.list_buckets()["Buckets"]:
        name = bucket["Name"]
        if name.startswith(f"{stack}-databucket"):
            size = sum(
                version.get("Size", 0)
                for page in client.get_paginator("list_object_versions").paginate(Bucket=name)
                for version in page.get("Versions", [])
            )
            month = size / _GIGABYTE * prices.month["storage_gigabyte"]
            yield Leftover(
                "bucket", f"{name}, {size / 1024**2:,.1f} MB", max(month, 0.0001), "see the README, Tear down"
            )


def _alarms(client: Any, stack: str, prices: Prices) -> Iterable[Leftover]:
    for page in client.get_paginator("describe_alarms").paginate(AlarmNamePrefix=stack):
        for alarm in page["MetricAlarms"]:
            yield Leftover("alarm", alarm["AlarmName"], prices.month["alarm"], f"goes with the stack {stack}")


def _secrets(client: Any, stack: str, prices: Prices) -> Iterable[Leftover]:
    for page in client.get_paginator("list_secrets").paginate():
        for secret in page["SecretList"]:
            tags = {tag["Key"]: tag["Value"] for tag in secret.get("Tags", [])}
            if (
                tags.get("aws:cloudformation:stack-name") == stack
                or stack in secret["Name"]
                or "KaggleSecret" in secret["Name"]
            ):
                yield Leftover("secret", secret["Name"], prices.month["secret"], f"goes with the stack {stack}")


def _log_groups(client: Any, project: str, prices: Prices) -> Iterable[Leftover]:
    for prefix in (f"/aws/lambda/{project}", f"/aws/vendedlogs/states/{project}", "/aws/sagemaker/"):
        for page in client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix):
            for group in page["logGroups"]:
                stored = group.get("storedBytes", 0)
                month = stored / _GIGABYTE * prices.month["log_gigabyte"]
                remove = f"aws logs delete-log-group --log-group-name {group['logGroupName']}"
                yield Leftover("log group", f"{group['logGroupName']}, {stored / 1024**2:,.1f} MB", month, remove)


def _repositories(client: Any, prices: Prices) -> Iterable[Leftover]:
    for page in client.get_paginator("describe_repositories").paginate():
        for repository in page["repositories"]:
            name = repository["repositoryName"]
            if name.startswith("treering/"):
                images = client.get_paginator("describe_images").paginate(repositoryName=name)
                size = sum(image.get("imageSizeInBytes", 0) for page in images for image in page["imageDetails"])
                month = size / _GIGABYTE * prices.month["image_gigabyte"]
                remove = f"aws ecr delete-repository --force --repository-name {name}"
                yield Leftover("image repository", f"{name}, {size / 1024**2:,.0f} MB", max(month, 0.0001), remove)


def _stack(client: Any, stack: str) -> Iterable[Leftover]:
    try:
        status = client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":  # there is none
            return
        raise
    yield Leftover("stack", f"{stack} ({status})", 0.0, f"sam delete --stack-name {stack}")
