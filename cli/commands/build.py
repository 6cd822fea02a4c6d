"""`treering build`: what `sam build` does, without a container engine, for a real `sam deploy` into the local cloud."""

import argparse
import json
from pathlib import Path

from cli import options
from cli.cloud import REPOSITORY
from cli.display import shown
from cli.errors import CommandError, UsageError
from local_cloud.emulator import ACCOUNT_ID, REGION
from local_cloud.images import ImageError, ImageRegistry
from local_cloud.packaging import Image, write_built
from local_cloud.template_file import TemplateError, read_template

SUMMARY = "build the images for a real `sam deploy` into the local cloud"
EPILOG = """\
Builds the images that the template names into the registry of the cloud of `treering up`, and writes the template with
their URIs to .aws-sam/build, where `sam deploy` looks first. What `treering up` has deployed has the names of the
environment dev, so deploy another one beside it.

examples:
  eval "$(treering up --exports)"
  treering build
  sam deploy --config-env staging --no-confirm-changeset --image-repository <any repository; nothing is pushed>
  sam delete --config-env staging --no-prompts
"""
BUILT = Path(".aws-sam") / "build"  # where the SAM CLI puts and expects what it has built


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--template", type=Path, default=REPOSITORY / "template.yaml", metavar="FILE", help="SAM template to build"
    )
    parser.add_argument(
        "--into", type=Path, default=BUILT, metavar="DIR", help="where the built template goes (default: %(default)s)"
    )
    options.add_json(parser, "the built template's path and the images")
    options.add_state(parser)


def execute(given: argparse.Namespace) -> int:
    """Build, say what was built, and return the exit code."""
    if not given.template.is_file():
        raise UsageError(f"--template {given.template}: there is no such file.")
    registry = ImageRegistry(given.state.resolve() / "cloud", account_id=ACCOUNT_ID, region=REGION)
    images: dict[str, str] = {}

    def build(image: Image) -> str:
        built = registry.build(
            image.name, dockerfile=image.dockerfile, context=image.context, build_args=image.build_args, tag=image.tag
        )
        images[image.name] = built.uri
        return built.uri

    folder = given.template.resolve().parent
    try:
        path = write_built(read_template(given.template), folder, build, given.into.resolve())
    except (TemplateError, ImageError) as error:
        raise CommandError(f"{given.template.name} could not be built: {error}") from error
    if given.json:
        print(json.dumps({"template": str(path), "images": images}, indent=2))
    else:
        for name, uri in images.items():
            print(f"{name:24} {uri}")
        print(f"\n{shown(path)} is ready for `sam deploy`.")
    return 0
