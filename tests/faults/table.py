"""The table of faults: for a terminal, as Markdown, as JSON."""

import json
import textwrap
from collections.abc import Sequence

from tests.faults.runner import Result

_WIDTHS = {"fault": 34, "where": 16, "expected": 46, "seen": 30, "s": 5}


def as_text(results: Sequence[Result]) -> str:
    """Columns side by side, long cells in several lines."""
    lines = [_line({name: name for name in _WIDTHS}), _line({name: "-" * width for name, width in _WIDTHS.items()})]
    for result in results:
        cells = _cells(result)
        parts = {name: textwrap.wrap(cells[name], width) or [""] for name, width in _WIDTHS.items()}
        for number in range(max(map(len, parts.values()))):
            lines.append(_line({n: wrapped[number] if number < len(wrapped) else "" for n, wrapped in parts.items()}))
    return "\n".join(lines)


def differences(results: Sequence[Result]) -> list[str]:
    """What was not as expected, a line for those that share an execution, and so what was seen."""
    names: dict[str, list[str]] = {}
    for result in results:
        if not result.ok:
            names.setdefault(result.seen, []).append(result.scenario.name)
    return [f"{first}{f' and {len(more)} more' if more else ''}: {seen}" for seen, (first, *more) in names.items()]


def as_markdown(results: Sequence[Result]) -> str:
    """A Markdown table for each group."""
    lines = []
    group = ""
    for result in results:
        if result.scenario.group != group:
            group = result.scenario.group
            lines += ["", f"### {group.capitalize()}", "", "| fault | where | expected | seen |", "|---|---|---|---|"]
        cells = {name: text.replace("|", "\\|") for name, text in _cells(result).items()}
        lines.append(f"| {cells['fault']} | {cells['where']} | {cells['expected']} | {cells['seen']} |")
    return "\n".join(lines[1:]) + "\n"


def as_json(results: Sequence[Result]) -> str:
    """A list of objects."""
    rows = [{"name": r.scenario.name, "group": r.scenario.group, **_cells(r), "s": r.seconds} for r in results]
    return json.dumps(rows, indent=2) + "\n"


def _cells(result: Result) -> dict[str, str]:
    scenario = result.scenario
    return {
        "fault": scenario.fault,
        "where": scenario.where,
        "expected": scenario.expected,
        "seen": result.seen,
        "s": f"{result.seconds:.1f}",
    }


def _line(cells: dict[str, str]) -> str:
    return "  ".join(cells[name].ljust(width) for name, width in _WIDTHS.items()).rstrip()
