"""Loads the engine once, with its seams in place."""

from __future__ import annotations

import functools
import json
import re
import threading
from typing import Any

from local_cloud.step_functions.engine.jsonata_names import unanchored
from local_cloud.step_functions.engine.lean_imports import stand_ins

_lock = threading.Lock()


def load() -> Any:
    """Import the engine (two thirds of a second the first time); answers with the module that runs executions."""
    with _lock:
        return _load()


def complaint_about_definition(definition: str) -> str | None:
    """Give a definition (JSON) to the engine's parser; answers with its complaint, or None where it takes it."""
    load()
    try:
        program(definition)
    except Exception as error:  # the engine raises what its constructors raise
        return _readable(f"{error}") or type(error).__name__
    return None


def program(definition: str) -> Any:
    """Make the engine's program of a definition (JSON). Raises what the engine raises of one that it does not take.

    A program is changed by its execution, so each has its own. What takes long, a tenth of a second and more, is the
    syntax tree below it; nothing changes that, and the same definition is checked, then executed week by week.
    """
    load()
    from moto.stepfunctions.parser.asl.parse.preprocessor import Preprocessor

    return Preprocessor().visit(_syntax_tree(json.dumps(json.loads(definition))))


@functools.lru_cache(maxsize=8)
def _syntax_tree(definition: str) -> Any:
    """As the engine's `AmazonStateLanguageParser.parse` makes it."""
    from antlr4 import CommonTokenStream, InputStream
    from moto.stepfunctions.parser.asl.antlr.runtime.ASLLexer import ASLLexer
    from moto.stepfunctions.parser.asl.antlr.runtime.ASLParser import ASLParser
    from moto.stepfunctions.parser.asl.parse.asl_parser import ASLParserException, SyntaxErrorListener

    listener = SyntaxErrorListener()
    parser = ASLParser(CommonTokenStream(ASLLexer(InputStream(definition))))
    parser.removeErrorListeners()
    parser.addErrorListener(listener)
    tree = parser.state_machine()
    if listener.errors:
        raise ASLParserException(errors=listener.errors)
    return tree


def complaint_about_path(path: str) -> str | None:
    """Give a JSONPath to the parser that the engine reads it with."""
    load()
    from moto.stepfunctions.parser.asl.utils import json_path

    try:
        json_path.parse(path)
    except Exception as error:  # the parser raises Exception itself
        return f"{error}" or type(error).__name__
    return None


def read_jsonata(expression: str) -> tuple[str | None, list[str]]:
    """Parse a JSONata expression: the parser's complaint, or None, and what it reads of the top level."""
    from jsonata.parser import Parser

    try:
        return None, unanchored(Parser().parse(expression))
    except Exception as error:  # a broken expression meets all kinds of them
        return f"{error}" or type(error).__name__, []


def _readable(complaint: str) -> str:
    """Leave the engine's own objects out of its complaint."""
    named = re.sub(r"<class '[\w.]*\.(\w+)'>", r"\1", complaint.removeprefix("ASLParserException "))
    return re.sub(r",? (with state|but got:|got|at:) '?[(\[].*", "", named, flags=re.DOTALL)


@functools.cache
def _load() -> Any:
    try:
        with stand_ins():
            from local_cloud.step_functions.engine import run, seams
    except ImportError as error:
        raise ImportError(
            f"the installed moto lacks what the state machines stand on ({error}); install the version that "
            "requirements/dev.txt pins"
        ) from error
    seams.install()
    return run
