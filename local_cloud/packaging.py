"""What ``sam build`` and ``sam package`` do: build the images a template names, upload the files it names.

Beside the functions of ``PackageType: Image`` these are images that a *parameter* of the template holds: the
template names them below ``Metadata.Treering.Images``, by parameter, with the same keys as a function's ``Metadata``.
"""

from __future__ import annotations

import copy
import hashlib
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
    packaged: dict[str, Any] = copy.deepcopy(dict(template))
    images = dict(_function_images(packaged, folder))
    with ThreadPoolExecutor(max_workers=4) as pool:
        uris = dict(zip(images, pool.map(build, images.values()), strict=True))
    for logical_id, uri in uris.items():
        packaged["Resources"][logical_id].setdefault("Properties", {})["ImageUri"] = uri
    for logical_id, resource in packaged["Resources"].items():
        definition = (resource.get("Properties") or {}).get("DefinitionUri")
        if resource.get("Type") == _STATE_MACHINE and isinstance(definition, str) and not definition.startswith("s3:"):
            resource["Properties"]["DefinitionUri"] = _upload_file(logical_id, folder / definition, upload)
    return packaged


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
