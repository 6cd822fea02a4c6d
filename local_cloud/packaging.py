"""What ``sam build`` and ``sam package`` do: build the images a template names, upload the files it names.

Beside the functions of ``PackageType: Image`` these are images that a *parameter* of the template holds: the
template names them below ``Metadata.Treering.Images``, by parameter, with the same keys as a function's ``Metadata``.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_cloud.template_file import TemplateError

_FUNCTION = "AWS::Serverless::Function"
_STATE_MACHINE = "AWS::Serverless::StateMachine"
# https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-cli-using-build.html
_BUILD_KEYS = frozenset({"Dockerfile", "DockerContext", "DockerTag", "DockerBuildArgs"})


@dataclass(frozen=True)
class Image:
    """An image to build; both paths are absolute. ``name`` is its repository's."""

    name: str
    dockerfile: Path
    context: Path
    build_args: Mapping[str, str] = field(default_factory=dict)
    tag: str = "latest"


BuildImage = Callable[[Image], str]  # returns the image's URI
Upload = Callable[[str, bytes], Mapping[str, str]]  # key, content → {"Bucket": …, "Key": …}


def package(template: Mapping[str, Any], folder: Path, build: BuildImage, upload: Upload) -> dict[str, Any]:
    """Return the template with image URIs and places in S3 instead of local paths.

    ``folder`` is the template's: local paths are relative to it. Raises TemplateError.
    """
    packaged = _with_function_images(template, folder, build)
    for logical_id, properties in _local_definitions(packaged):
        properties["DefinitionUri"] = _upload_file(logical_id, folder / properties["DefinitionUri"], upload)
    return packaged


def write_built(template: Mapping[str, Any], folder: Path, build: BuildImage, into: Path) -> Path:
    """Write ``template.yaml`` into a folder as ``sam build`` does, and return it: ``sam deploy`` takes it as it is.

    Functions name their image by URI, parameters that hold an image have it as their default, and local paths are
    relative to the new file. Nothing is uploaded. Raises TemplateError.
    """
    built = _with_function_images(template, folder, build)
    for name, image in parameter_images(template, folder).items():
        built["Parameters"][name]["Default"] = build(image)
    for _, properties in _local_definitions(built):
        properties["DefinitionUri"] = os.path.relpath(folder / properties["DefinitionUri"], into)
    into.mkdir(parents=True, exist_ok=True)
    path = into / "template.yaml"
    path.write_text(json.dumps(built, indent=2) + "\n", "utf-8")  # JSON is YAML
    return path


def _with_function_images(template: Mapping[str, Any], folder: Path, build: BuildImage) -> dict[str, Any]:
    copied: dict[str, Any] = copy.deepcopy(dict(template))
    images = dict(_function_images(copied, folder))
    with ThreadPoolExecutor(max_workers=4) as pool:
        uris = dict(zip(images, pool.map(build, images.values()), strict=True))
    for logical_id, uri in uris.items():
        copied["Resources"][logical_id].setdefault("Properties", {})["ImageUri"] = uri
    return copied


def _local_definitions(template: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the state machines, by logical ID, whose definition is a file on this machine, with their properties."""
    for logical_id, resource in template["Resources"].items():
        definition = (resource.get("Properties") or {}).get("DefinitionUri")
        if resource.get("Type") == _STATE_MACHINE and isinstance(definition, str) and not definition.startswith("s3:"):
            yield logical_id, resource["Properties"]


def parameter_images(template: Mapping[str, Any], folder: Path) -> dict[str, Image]:
    """Return the images that parameters of the template hold, by parameter. Raises TemplateError."""
    named = ((template.get("Metadata") or {}).get("Treering") or {}).get("Images") or {}
    parameters = template.get("Parameters") or {}
    for parameter in named:
        if parameter not in parameters:
            raise TemplateError(f"Metadata.Treering.Images names {parameter}, which is no parameter of the template")
    return {name: _image(f"Metadata.Treering.Images.{name}", name, build, folder) for name, build in named.items()}


def _function_images(template: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, Image]]:
    for logical_id, resource in template["Resources"].items():
        properties = resource.get("Properties") or {}
        if resource.get("Type") != _FUNCTION or properties.get("PackageType") != "Image":
            continue
        metadata = resource.get("Metadata") or {}
        if "Dockerfile" in metadata:
            yield logical_id, _image(f"Resources.{logical_id}.Metadata", logical_id, metadata, folder)
        elif "ImageUri" not in properties:
            raise TemplateError(f"{logical_id}: PackageType Image needs Metadata.Dockerfile or Properties.ImageUri")


def _image(where: str, name: str, build: Mapping[str, Any], folder: Path) -> Image:
    unknown = {key for key in build if key.startswith("Docker")} - _BUILD_KEYS
    if unknown:
        raise TemplateError(f"{where}: the local cloud does not know {', '.join(sorted(unknown))}")
    context = (folder / str(build.get("DockerContext", "."))).resolve()
    return Image(
        name=name.lower(),
        dockerfile=context / str(build["Dockerfile"]),
        context=context,
        build_args={key: str(value) for key, value in (build.get("DockerBuildArgs") or {}).items()},
        tag=str(build.get("DockerTag", "latest")),
    )


def _upload_file(logical_id: str, path: Path, upload: Upload) -> dict[str, str]:
    """Upload a file under a name made of its content, so that a changed file changes the template."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TemplateError(f"{logical_id}: DefinitionUri cannot be read: {error}") from None
    return dict(upload(f"{hashlib.sha256(content).hexdigest()}/{path.name}", content))
