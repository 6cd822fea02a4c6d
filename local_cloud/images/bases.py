"""What the local cloud knows of the base images a Dockerfile may name. As of November 2026.

Sources: the ``Config`` of the images themselves (https://gallery.ecr.aws/lambda/python, Docker Hub's ``python``) and
https://docs.aws.amazon.com/lambda/latest/dg/python-image.html. Left out are variables that name libraries of the
image's own Python (``LD_LIBRARY_PATH``, ``GPG_KEY``, ``PYTHON_SHA256``, …): another Python runs here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Base:
    """A family of base images.

    ``pattern`` matches the whole reference; its group ``python`` is the Python version. ``python_home`` is where the
    image's Python is mounted here. ``provides`` are Python packages that the base itself brings.
    """

    name: str
    pattern: re.Pattern[str]
    env: Mapping[str, str]
    workdir: str
    python_home: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()

    def environment(self, python_version: str) -> dict[str, str]:
        """The variables of the image for a Python version, for example ``3.12``."""
        return {name: value.replace("{python}", python_version) for name, value in self.env.items()}


_SYSTEM_PATH = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"

BASES = (
    Base(
        name="public.ecr.aws/lambda/python:<version>",
        pattern=re.compile(r"public\.ecr\.aws/lambda/python:(?P<python>3\.\d+)(-[\w.-]+)?"),
        env={
            "LANG": "en_US.UTF-8",
            "TZ": ":/etc/localtime",
            "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin",
            "LAMBDA_TASK_ROOT": "/var/task",
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python{python}",
        },
        workdir="/var/task",
        python_home="/var/lang",
        # what /lambda-entrypoint.sh of the image does once the Runtime API is there
        entrypoint=("/var/lang/bin/python3", "-m", "awslambdaric"),
        provides=("awslambdaric", "boto3"),
    ),
    Base(
        name="public.ecr.aws/docker/library/python:<version>[-slim]",
        pattern=re.compile(
            r"((public\.ecr\.aws/docker|docker\.io)/library/)?python:(?P<python>3\.\d+)(\.\d+)?(-[\w.-]+)?"
        ),
        # In the image Python lives in /usr/local; mounted there it would hide the machine's own programs.
        env={"LANG": "C.UTF-8", "PATH": f"/opt/image-python/bin:{_SYSTEM_PATH}"},
        workdir="/",
        python_home="/opt/image-python",
        command=("python3",),
    ),
)


def find_base(reference: str) -> tuple[Base, str] | None:
    """Return the base that a reference names and its Python version, or None if nothing is known of it."""
    for base in BASES:
        match = base.pattern.fullmatch(reference)
        if match:
            return base, match["python"]
    return None
