"""Which service and which action of AWS's API an HTTP request calls.

The protocols name the action in different places: ``X-Amz-Target`` (AWS JSON), ``Action`` (AWS Query), the path (Smithy
RPC), or method, path, query and headers together (REST: S3, Lambda, SageMaker's runtime), which only the service's API
model tells.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

# The name in a signature → what else boto3 calls the service.
_OTHER_NAMES = {
    "events": ("eventbridge",),
    "monitoring": ("cloudwatch",),
    "states": ("stepfunctions",),
}
_RUNTIME = ("runtime.sagemaker", "sagemaker-runtime", "sagemaker")
_REST = {"s3": "s3", "lambda": "lambda", _RUNTIME[0]: _RUNTIME[1]}
_SIGNATURE = re.compile(r"Credential=[^/]+/\d+/[^/]*/(?P<service>[^/]+)/aws4_request")
_RPC = re.compile(r"/service/[^/]+/operation/(?P<action>\w+)/?")


@dataclass(frozen=True)
class Request:
    """An HTTP request; header names in lower case, ``query`` and ``body`` as they came."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @functools.cached_property
    def services(self) -> tuple[str, ...]:
        """The names of the service, AWS's own first; empty for a request without a signature."""
        signature = self.headers.get("authorization") or "&".join(self._parameters.get("X-Amz-Credential", ()))
        found = _SIGNATURE.search(signature if "Credential=" in signature else f"Credential={signature}")
        if found is None:
            return ()
        service = found["service"]
        if service == "sagemaker" and self.path.startswith("/endpoints/"):
            return _RUNTIME
        return (service, *_OTHER_NAMES.get(service, ()))

    @functools.cached_property
    def action(self) -> str:
        """The API's name of what is called, such as ``PutObject``; empty where it cannot be told."""
        if "x-amz-target" in self.headers:
            return self.headers["x-amz-target"].rpartition(".")[2]
        if found := _RPC.fullmatch(self.path):
            return found["action"]
        model = _REST.get(self.services[0]) if self.services else None
        if model is not None:
            fitting = [route for route in _routes(model) if route.fits(self, self._parameters)]
            return max(fitting, key=lambda route: route.weight).action if fitting else ""
        form = parse_qs(self.body.decode(errors="replace")) if self.method == "POST" else {}
        return (form.get("Action") or self._parameters.get("Action") or [""])[0]

    @functools.cached_property
    def text(self) -> str:
        """Path, query and body, to look for a text in."""
        return f"{self.path}?{self.query}\n{self.body.decode(errors='replace')}"

    @functools.cached_property
    def _parameters(self) -> dict[str, list[str]]:
        return parse_qs(self.query, keep_blank_values=True)


@dataclass(frozen=True)
class _Route:
    """An action of a REST service: of all that fit a request, the one that asks most of it is meant."""

    action: str
    method: str
    path: re.Pattern[str]
    fixed: Mapping[str, list[str]]  # parameters of the query with these values
    parameters: tuple[str, ...]  # of the query, with any value
    headers: tuple[str, ...]
    weight: tuple[int, int]

    def fits(self, request: Request, given: Mapping[str, list[str]]) -> bool:
        """Whether the request has everything that the action needs."""
        return (
            request.method == self.method
            and self.path.fullmatch(request.path) is not None
            and all(given.get(name) == value for name, value in self.fixed.items())
            and all(name in given for name in self.parameters)
            and all(name in request.headers for name in self.headers)
        )


@functools.cache
def _routes(service: str) -> tuple[_Route, ...]:
    """The actions of a REST service, by botocore's model of it."""
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    # read anew: S3's clients rewrite the paths in the model that they have
    model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
    operations = [model.operation_model(name) for name in model.operation_names]
    return tuple(_route(operation) for operation in operations if not operation.deprecated)  # these share their routes


def _route(operation: Any) -> _Route:
    path, _, query = operation.http["requestUri"].partition("?")
    shape = operation.input_shape
    needed = [shape.members[name].serialization for name in shape.required_members] if shape else []
    fixed = parse_qs(query, keep_blank_values=True)
    parameters = tuple(one["name"] for one in needed if one.get("location") == "querystring")
    headers = tuple(one["name"].lower() for one in needed if one.get("location") == "header")
    fields = re.split(r"\{[^}]+\}", path)
    greedy = re.findall(r"\{[^}]+\}", path)
    pattern = re.escape(fields[0])
    for field, rest in zip(greedy, fields[1:], strict=True):
        pattern += (".+" if field.endswith("+}") else "[^/]+") + re.escape(rest)
    return _Route(
        action=operation.name,
        method=operation.http["method"],
        path=re.compile(f"{pattern}/?"),
        fixed=fixed,
        parameters=parameters,
        headers=headers,
        weight=(len(fixed) + len(parameters) + len(headers), len(path)),
    )
