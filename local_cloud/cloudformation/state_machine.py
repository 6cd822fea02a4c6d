"""``AWS::StepFunctions::StateMachine`` on the local Step Functions service."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ministack.services import s3
from ministack.services.cloudformation import provisioners

from local_cloud.cloudformation.handlers import Handlers, Properties, Provisioned
from local_cloud.step_functions.definition.reading import read_yaml

_PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9_]+)\}")


class StateMachines(Protocol):
    """The local Step Functions service, as CloudFormation needs it; its errors say what AWS would say."""

    def create_state_machine(
        self,
        name: str,
        definition: str,
        role_arn: str,
        type: str | None = None,
        logging_configuration: Mapping[str, Any] | None = None,
        tracing_configuration: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Create a state machine and return its ARN."""

    def update_state_machine(
        self,
        arn: str,
        definition: str | None = None,
        role_arn: str | None = None,
        logging_configuration: Mapping[str, Any] | None = None,
        tracing_configuration: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Change what is given."""

    def delete_state_machine(self, arn: str) -> None:
        """Delete a state machine."""


def state_machine_handlers(service: Callable[[], StateMachines]) -> Handlers:
    """Return the provisioner; ``service`` gives the Step Functions service, which may start late."""

    def create(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
        name = _name(logical_id, properties, stack_name)
        arn = service().create_state_machine(name, type=properties.get("StateMachineType"), **_settings(properties))
        return arn, {"Arn": arn, "Name": name}

    def update(
        physical_id: str, _old: Properties, new: Properties, stack_name: str, logical_id: str | None = None
    ) -> Provisioned:
        name = _name(logical_id or physical_id, new, stack_name)
        if physical_id.rpartition(":")[2] != name:
            return create(logical_id or physical_id, new, stack_name)  # a new name is a replacement
        service().update_state_machine(physical_id, **_settings(new))
        return physical_id, {"Arn": physical_id, "Name": name}

    def delete(physical_id: str, _properties: Properties) -> None:
        service().delete_state_machine(physical_id)

    return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}


def _name(logical_id: str, properties: Properties, stack_name: str) -> str:
    name = properties.get("StateMachineName") or provisioners._physical_name(stack_name, logical_id, max_len=80)
    return str(name)


def _settings(properties: Properties) -> dict[str, Any]:
    return {
        "definition": definition_of(properties),
        "role_arn": properties["RoleArn"],
        "logging_configuration": _camel_case(properties.get("LoggingConfiguration") or {"Level": "OFF"}),
        "tracing_configuration": _camel_case(properties.get("TracingConfiguration") or {"Enabled": False}),
        "tags": {tag["Key"]: tag["Value"] for tag in properties.get("Tags") or []},
    }


def definition_of(properties: Properties) -> str:
    """Return the definition as JSON text: fetched from S3 if need be, YAML read, substitutions made.

    The order is that of CloudFormation's own handler (aws-cloudformation-resource-providers-stepfunctions): YAML
    becomes JSON first, and ``${name}`` is substituted in that text. So what is substituted into YAML is always text,
    quoted or not, while JSON may hold ``"TimeoutSeconds": ${Seconds}``. Raises ValueError for a missing object,
    unreadable text and a ``${placeholder}`` that nothing substitutes.
    """
    text = _definition_text(properties)
    if not text.lstrip().startswith("{"):
        text = json.dumps(read_yaml(text))
    for name, value in (properties.get("DefinitionSubstitutions") or {}).items():
        text = text.replace("${" + name + "}", str(value).lower() if isinstance(value, bool) else str(value))
    left = sorted(set(_PLACEHOLDER.findall(text)))
    if left:
        raise ValueError(
            f"the definition has placeholders that DefinitionSubstitutions does not name: {', '.join(left)}"
        )
    try:
        definition = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"the definition is not JSON once its placeholders are filled: {error}") from None
    if not isinstance(definition, dict):
        raise ValueError("the definition is not an object with StartAt and States")
    return json.dumps(definition)


def _definition_text(properties: Properties) -> str:
    place = properties.get("DefinitionS3Location")
    if place:
        content = s3._get_object_data(place["Bucket"], place["Key"], version_id=place.get("Version"))
        if content is None:
            raise ValueError(f"the definition s3://{place['Bucket']}/{place['Key']} does not exist")
        return str(content.decode())
    if properties.get("Definition") is not None:
        return json.dumps(properties["Definition"])
    text = properties.get("DefinitionString")
    if not text:
        raise ValueError("a state machine needs a Definition, a DefinitionString or a DefinitionS3Location")
    return text if isinstance(text, str) else json.dumps(text)


def _camel_case(value: Any) -> Any:
    """Return CloudFormation's ``LogGroupArn`` as the API's ``logGroupArn``, at every depth."""
    if isinstance(value, Mapping):
        return {name[:1].lower() + name[1:]: _camel_case(below) for name, below in value.items()}
    if isinstance(value, list):
        return [_camel_case(item) for item in value]
    return value
