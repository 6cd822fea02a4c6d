"""What the tests measure: sizes of images and seconds until a container does its work, as a table and as JSON."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Measurements:
    """Figures by subject, in the order in which they came."""

    figures: dict[str, dict[str, float]] = field(default_factory=dict)

    def note(self, subject: str, what: str, value: float) -> None:
        """Note one figure; its unit is the end of its name."""
        self.figures.setdefault(subject, {})[what] = round(value, 3)

    @contextmanager
    def seconds(self, subject: str, what: str) -> Iterator[None]:
        """Note how long the block takes."""
        started = time.monotonic()
        yield
        self.note(subject, what, time.monotonic() - started)

    def lines(self) -> Iterator[str]:
        """The table: a line for each subject."""
        width = max((len(subject) for subject in self.figures), default=0)
        for subject, figures in self.figures.items():
            texts = (
                f"{what.rpartition('_')[0].replace('_', ' ')} {_text(what, value)}" for what, value in figures.items()
            )
            yield f"{subject:<{width}}  {', '.join(texts)}"

    def save(self, file: Path, engine: str) -> None:
        """Write everything as JSON."""
        content: dict[str, Any] = {"engine": engine, "measurements": self.figures}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def _text(what: str, value: float) -> str:
    unit = what.rpartition("_")[2]
    return f"{value:,.0f} MB" if unit == "megabytes" else f"{value:.2f} s"
