"""The texts of a definition as JSON has them; the engine leaves escapes such as `\\u00fc` in some of them."""

from __future__ import annotations

import json
from typing import Any


def text_of(parser_rule_context: Any) -> str:
    """Read a string (replaces `from_string_literal`)."""
    text: str = parser_rule_context.getText()
    return str(json.loads(text)) if text.startswith('"') else text


def text_or_null_of(self: Any, parser_rule_context: Any) -> str | None:  # noqa: ARG001  (the engine calls it)
    """Read a string, or null (replaces `Preprocessor._inner_string_of`)."""
    return None if parser_rule_context.getText() == "null" else text_of(parser_rule_context)
