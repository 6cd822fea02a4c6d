"""Bodies of requests, most of them wrong: rows as CSV and JSON with everything that can be in a cell, and bytes."""

import csv
import gzip
import io
import json
from collections.abc import Sequence

from hypothesis import strategies as st

CSV, JSON = "text/csv", "application/json"

_ODD_NUMBERS = [
    "0", "-0", "1e308", "1e309", "-1e999", "1e-400", "3.4028235e38", "3.4028236e38", "9" * 400, "-" + "9" * 5000,
    "0x10", "1_000", "1,5", "NaN", "nan", "Infinity", "-inf", "1e", ".", "+", "--1", "\u0661\u0662", "\uff10",
    "1 2", "1e5000000", "0." + "0" * 5000 + "1", " 7 ", "\t7", "7\x00", "true", "null", "1d5", "1.7976931348623157e308",
    "5e-324",
]  # fmt: skip
_ODD_TEXTS = [
    "", "NA", " NA ", "never seen", "☃", "\x00", "\x00" * 50, '"', '""', "'", ",", ";", "\n", "\r", "\r\n", "\ufeff",
    "\u2028", "\x85", "\x1c", "\ud800", "a" * 3000, "'; DROP TABLE models; --", "{{7*7}}", "=cmd|' /C calc'!A0", "\\",
    "%00", "%s%n%x", "../../etc/passwd", "<script>", "${jndi:ldap://x}", "null", "[1]", '{"a": 1}', "e\u0301", "\u202e",
]  # fmt: skip
_texts = st.sampled_from(_ODD_NUMBERS) | st.sampled_from(_ODD_TEXTS) | st.text(max_size=8)
_scalars = st.none() | st.booleans() | st.integers() | st.floats() | _texts
_values = _scalars | st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=2), max_leaves=4
)


def bodies(columns: dict[str, list[str]]) -> st.SearchStrategy[tuple[str, bytes]]:
    """Content type and body. `columns` are good rows, which most bodies are made of."""
    names = list(columns)
    rows = len(columns[names[0]])
    good_row = st.integers(0, rows - 1).map(lambda row: {name: columns[name][row] for name in names})
    table = st.lists(good_row, min_size=1, max_size=3)
    changed = st.builds(_with_changes, table, st.lists(st.tuples(st.sampled_from(names), _values), max_size=4))
    as_csv = st.builds(
        _csv,
        changed,
        st.permutations(names).flatmap(lambda order: st.integers(0, 8).map(lambda drop: order[drop // 3 :]))
        | st.just(names),
        st.sampled_from([True, True, True, False]),
        st.sampled_from([",", ",", ",", ",", ";", "\t", "|"]),
        st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\n\r"]),
        st.sampled_from(["", "", "", "\ufeff", "\n", "#\n", "x,x\n", '"', " "]),
    )
    as_json = st.builds(_json, changed, st.sampled_from(list(_SHAPES)), st.sampled_from(_ODD_NUMBERS))
    valued = _values.map(lambda value: (JSON, _dumps(value)))
    noise = st.tuples(st.sampled_from([CSV, JSON]), st.binary(max_size=200) | st.text(max_size=80).map(_bytes))
    whole = as_csv | as_csv | as_json | as_json | valued | noise
    return whole | st.builds(_mutated, as_csv | as_json, st.lists(_mutations(), min_size=1, max_size=3))


def heavy() -> list[tuple[str, bytes]]:
    """Bodies near the size limit that make a careless parser slow or large. Not drawn: they take a while each."""
    size = 6_000_000
    return [
        (CSV, b"," * size),
        (CSV, b"\n" * size),
        (CSV, b'"' * size),
        (CSV, b'"' + b"x" * size),
        (CSV, b"a,b\n" + b"1,2\n" * (size // 4)),
        (CSV, b"\x00" * size),
        (CSV, ",".join(f"c{number}" for number in range(size // 8)).encode()),
        (JSON, b"[" * size),
        (JSON, b'{"a":' * (size // 5)),
        (JSON, b"9" * size),
        (JSON, b'[{"a": ' + b"9" * size + b"}]"),
        (JSON, b'"' + b"\\u0041" * (size // 6) + b'"'),
        (JSON, b"[" + b"{}," * (size // 3) + b"{}]"),
        (JSON, b'{"columns": [' + b'"a",' * (size // 4) + b'"a"], "rows": [[]]}'),
        (JSON, b'{"columns": ["a"], "rows": [' + b"[]," * (size // 3) + b"[]]}"),
        (JSON, b"1e" + b"9" * size),
    ]


def _with_changes(rows: list[dict[str, str]], changes: list[tuple[str, object]]) -> list[dict[str, object]]:
    changed: list[dict[str, object]] = [dict(row) for row in rows]
    for number, (name, value) in enumerate(changes):
        changed[number % len(changed)][name] = value
    return changed


def _csv(
    rows: list[dict[str, object]], names: Sequence[str], header: bool, delimiter: str, end: str, before: str
) -> tuple[str, bytes]:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    if header:
        writer.writerow(names)
    writer.writerows([str(row[name]) for name in names] for row in rows)
    return CSV, _bytes(before + text.getvalue())


_SHAPES = {
    "instances": lambda rows: {"instances": rows},
    "list": lambda rows: rows,
    "one": lambda rows: rows[0],
    "table": lambda rows: {"columns": list(rows[0]), "rows": [list(row.values()) for row in rows]},
    "ragged": lambda rows: {"columns": list(rows[0])[1:], "rows": [list(row.values()) for row in rows]},
    "doubled": lambda rows: {"columns": list(rows[0]) * 2, "rows": [list(row.values()) * 2 for row in rows]},
    "nested": lambda rows: {"instances": [rows]},
    "columns": lambda rows: {name: [row[name] for row in rows] for name in rows[0]},
    "half": lambda rows: {"instances": [dict(list(row.items())[::2]) for row in rows]},
    "both": lambda rows: {"instances": rows, "columns": [], "rows": []},
    "mixed": lambda rows: [*rows, 3, None, "row"],
    "empty": lambda _: {"instances": []},
}


def _json(rows: list[dict[str, object]], shape: str, number: str) -> tuple[str, bytes]:
    body = _dumps(_SHAPES[shape](rows))
    # a number written as no serialiser writes it, where a text stood
    return JSON, body.replace(b'"8"', number.encode("utf-8", "surrogatepass"), 1)


def _dumps(value: object) -> bytes:
    return json.dumps(value).encode()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _mutations() -> st.SearchStrategy[tuple[str, float, bytes]]:
    """What, where (a share of the length), with which bytes."""
    kinds = st.sampled_from(["cut", "insert", "replace", "drop", "double", "swap", "encode"])
    pieces = st.sampled_from(
        [b"\x00", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b'"', b"\\", b",", b"\n", b"\r", b"[", b"{", b"}", b"]", b":"]
    )
    return st.tuples(kinds, st.floats(0, 1), pieces | st.binary(max_size=6))


def _mutated(made: tuple[str, bytes], mutations: list[tuple[str, float, bytes]]) -> tuple[str, bytes]:
    kind, body = made
    for what, where, piece in mutations:
        at = int(where * len(body))
        if what == "cut":
            body = body[:at]
        elif what == "insert":
            body = body[:at] + piece + body[at:]
        elif what == "replace":
            body = body[:at] + piece + body[at + len(piece) :]
        elif what == "drop":
            body = body[:at] + body[at + 20 :]
        elif what == "double":
            body = body[:at] + body[at // 2 :]
        elif what == "swap":
            kind = JSON if kind == CSV else CSV
        else:
            text = body.decode("utf-8", "replace")
            encodings = ("utf-16", "utf-32", "latin-1", "utf-7", "utf-8-sig")
            body = gzip.compress(body) if at % 6 == 5 else text.encode(encodings[at % 6 % len(encodings)], "replace")
    return kind, body
