"""What can go wrong with an image."""

from pathlib import Path


class ImageError(Exception):
    """An image cannot be built or found; the message says why and what to do next."""


class ImageNotFoundError(ImageError, LookupError):
    """No image has this URI."""


class DockerfileError(ImageError):
    """An instruction of a Dockerfile is wrong, or is one that the local cloud does not interpret.

    ``path``, ``line`` (from 1) and ``instruction`` (``COPY``, …) say where.
    """

    def __init__(self, path: Path, line: int, instruction: str, problem: str) -> None:
        super().__init__(f"{path}, line {line}, {instruction}: {problem}")
        self.path, self.line, self.instruction = path, line, instruction
