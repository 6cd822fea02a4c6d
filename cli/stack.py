"""The deployed application, as CloudFormation describes it: its outputs, parameters and weekly rule."""

from collections.abc import Mapping
from dataclasses import dataclass

from botocore.exceptions import ClientError

from cli.cloud import Cloud
from cli.errors import CommandError

DEFAULT_NAME = "treering"
DEFAULT_USE_CASE = "house_prices"  # the template's


@dataclass(frozen=True)
class Rule:
    """The scheduled rule that wakes ingestion."""

    name: str
    schedule: str  # cron(…) or rate(…)
    enabled: bool


@dataclass(frozen=True)
class Stack:
    """A stack that was deployed into the cloud."""

    name: str
    status: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    resources: Mapping[str, tuple[str, str]]  # logical ID → type, physical ID

    def output(self, name: str) -> str:
        """Value of an output. Raises CommandError where the template has no such output."""
        try:
            return self.outputs[name]
        except KeyError:
            raise CommandError(
                f"The stack {self.name} has no output {name}; it has: {', '.join(sorted(self.outputs)) or 'none'}.",
                hint="Does --template name this application's template.yaml? `treering up` updates the deployment.",
            ) from None

    @property
    def bucket(self) -> str:
        """Name of the data bucket."""
        return self.output("DataBucketName")

    @property
    def state_machine(self) -> str:
        """ARN of the weekly training's state machine."""
        return self.output("StateMachineArn")

    @property
    def ingest_function(self) -> str:
        """Name of the ingest function."""
        return self.output("IngestFunctionName")

    @property
    def endpoint(self) -> str:
        """Name of the one endpoint in production."""
        return self.output("EndpointName")

    @property
    def rollout_machine(self) -> str:
        """ARN of the rollout's state machine."""
        return self.output("RolloutStateMachineArn")

    @property
    def model_package_group(self) -> str:
        """Name of the model registry's group."""
        return self.output("ModelPackageGroupName")

    @property
    def kaggle_secret(self) -> str:
        """ARN of the secret with the data source's credentials."""
        return self.output("KaggleSecretArn")

    @property
    def use_case(self) -> str:
        """Name of the use case that is deployed."""
        return self.parameters.get("UseCase", DEFAULT_USE_CASE)

    def functions(self) -> dict[str, str]:
        """Logical ID → name of every Lambda function."""
        return {key: name for key, (kind, name) in self.resources.items() if kind == "AWS::Lambda::Function"}


def read(cloud: Cloud, name: str) -> Stack | None:
    """The stack of that name, none if there is none."""
    cloudformation = cloud.client("cloudformation")
    try:
        described = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        resources = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":  # DescribeStacks says so of a stack that is not there
            return None
        raise
    return Stack(
        name=name,
        status=described["StackStatus"],
        outputs={item["OutputKey"]: item["OutputValue"] for item in described.get("Outputs", [])},
        parameters={item["ParameterKey"]: item.get("ParameterValue", "") for item in described.get("Parameters", [])},
        resources={
            item["LogicalResourceId"]: (item["ResourceType"], item.get("PhysicalResourceId", "")) for item in resources
        },
    )


def weekly_rule(cloud: Cloud, stack: Stack) -> Rule:
    """The stack's scheduled rule. Raises CommandError where it has no schedule."""
    name = stack.output("IngestRuleName")
    rule = cloud.client("events").describe_rule(Name=name.rpartition("|")[2])
    if not rule.get("ScheduleExpression"):
        raise CommandError(f"The rule {name} has no schedule, so nothing would ever start a run.")
    return Rule(rule["Name"], rule["ScheduleExpression"], rule.get("State") == "ENABLED")
