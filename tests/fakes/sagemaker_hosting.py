"""SageMaker hosting in memory, as `treering.aws.sagemaker.SageMakerHosting`; endpoints settle after a few looks."""

# ruff: noqa: D102  # the methods are those of the adapter

from collections import deque
from collections.abc import Mapping
from dataclasses import replace

from treering.errors import ConfigurationError, TransientError
from treering.steps.deployment import IN_TRANSITION, ConfigSpec, EndpointState, Guardrails, ModelSpec

LOOKS = 3  # at an endpoint in transition until it settles


class FakeHosting:
    """Keeps models, configurations and endpoints; `calls` lists what was asked to change."""

    def __init__(self) -> None:
        self.models: dict[str, ModelSpec] = {}
        self.configs: dict[str, ConfigSpec] = {}
        self.endpoints: dict[str, EndpointState] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.calls: list[str] = []
        self.guardrails: Guardrails | None = None  # of the last update
        self.failing: str = ""  # reason for which the next creation or update fails
        self.rolls_back = True  # a failing update ends InService with the old configuration, else Failed
        self.never_settles = False
        self.hiccups = 0  # looks that end in a TransientError
        self._coming: dict[str, deque[EndpointState | None]] = {}

    def find_model(self, name: str) -> ModelSpec | None:
        return self.models.get(name)

    def create_model(self, model: ModelSpec, tags: Mapping[str, str]) -> None:
        self._change("create_model", model.name in self.models, "exists", tags, model.name)
        self.models[model.name] = model

    def delete_model(self, name: str) -> None:
        self._change("delete_model", name not in self.models, "does not exist")
        del self.models[name]

    def find_config(self, name: str) -> ConfigSpec | None:
        return self.configs.get(name)

    def create_config(self, config: ConfigSpec, tags: Mapping[str, str]) -> None:
        self._change("create_config", config.name in self.configs, "exists", tags, config.name)
        self._change("", config.model_name not in self.models, "names a model that does not exist")
        self.configs[config.name] = config

    def delete_config(self, name: str) -> None:
        self._change("delete_config", name not in self.configs, "does not exist")
        del self.configs[name]

    def find_endpoint(self, name: str) -> EndpointState | None:
        if self.hiccups:
            self.hiccups -= 1
            raise TransientError("Could not describe the endpoint: busy.")
        coming = self._coming.get(name)
        if coming and not self.never_settles:
            state = coming.popleft()
            if state is None:
                del self.endpoints[name]
            else:
                self.endpoints[name] = state
        return self.endpoints.get(name)

    def create_endpoint(self, name: str, config_name: str, tags: Mapping[str, str]) -> None:
        self._change("create_endpoint", name in self.endpoints, "exists", tags, name)
        self._change("", config_name not in self.configs, "names a configuration that does not exist")
        self.begin(name, EndpointState("Creating", config_name), self._outcome(config_name, None))

    def models_of(self, config_name: str) -> list[str]:
        config = self.configs.get(config_name)
        if config is None:
            return []
        return [config.model_name, *([config.trial.model_name] if config.trial else [])]

    def model_names(self, prefix: str) -> list[str]:
        return [name for name in reversed(self.models) if name.startswith(prefix)]

    def config_names(self, prefix: str) -> list[str]:
        return [name for name in reversed(self.configs) if name.startswith(prefix)]

    def update_endpoint(self, name: str, config_name: str, guardrails: Guardrails | None) -> None:
        self.guardrails = guardrails
        self._change("update_endpoint", name not in self.endpoints, "does not exist")
        self._change("", config_name not in self.configs, "names a configuration that does not exist")
        before = self.endpoints[name]
        self._change("", before.status in {*IN_TRANSITION, "Failed"}, f"cannot be updated while {before.status}")
        self.begin(name, replace(before, status="Updating"), self._outcome(config_name, before))

    def delete_endpoint(self, name: str) -> None:
        self._change("delete_endpoint", name not in self.endpoints, "does not exist")
        self.begin(name, replace(self.endpoints[name], status="Deleting"), None)

    def begin(self, name: str, now: EndpointState, then: EndpointState | None) -> None:
        """Put an endpoint into a transition that ends some looks later."""
        self.endpoints[name] = now
        self._coming[name] = deque([now] * LOOKS + [then])

    def _outcome(self, config_name: str, before: EndpointState | None) -> EndpointState:
        if not self.failing:
            return EndpointState("InService", config_name)
        if before and self.rolls_back:
            return replace(before, failure_reason=self.failing)
        return EndpointState("Failed", config_name, self.failing)

    def _change(
        self, call: str, refused: bool, reason: str, tags: Mapping[str, str] | None = None, name: str = ""
    ) -> None:
        if call:
            self.calls.append(call)
        if refused:
            raise ConfigurationError(f"Could not {call or self.calls[-1]}: it {reason}.")
        if tags is not None:
            self.tags[name] = dict(tags)
