"""Loads the engine once, with its seams in place."""

from __future__ import annotations

import functools
import threading
from typing import Any

from local_cloud.step_functions.engine.lean_imports import stand_ins

_lock = threading.Lock()


def load() -> Any:
    """Import the engine (two thirds of a second the first time); answers with the module that runs executions."""
    with _lock:
        return _load()


def complaint_of_engine(definition: str) -> str | None:
    """Give a definition (JSON) to the engine's parser; answers with its complaint, or None where it takes it."""
    load()
    from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

    try:
        AmazonStateLanguageParser.parse(definition)
    except Exception as error:  # the engine raises what its constructors raise
        return f"{error}" or type(error).__name__
    return None


@functools.cache
def _load() -> Any:
    with stand_ins():
        from local_cloud.step_functions.engine import run, seams
    seams.install()
    return run
