"""The labelled file is another one than the use case expects, or the same written otherwise."""

from collections.abc import Callable

from tests.faults.houses import CASE, Table
from tests.faults.scenario import Scenario
from tests.faults.scenarios.ingestion import fails, succeeds
from tests.faults.stage import Stage

_GROUP = "content"
_KEY, _TARGET = CASE.columns.key, CASE.target.column
_INTEGER, _NUMBER, _CATEGORY = CASE.columns.integer[2], CASE.columns.number[0], CASE.columns.category[1]
_OTHER_CATEGORY = CASE.columns.category[2]
_PARTS = [name for name in CASE.features.sums["FinishedSF"] if name in CASE.columns.number]  # of a sum
_FILE = CASE.source.labelled_file


def _serve(change: Callable[[Table], Table | bytes]) -> Callable[[Stage], None]:
    """Serve what `change` makes of the good labelled file."""

    def serve(stage: Stage) -> None:
        source = stage.bench.source
        made = change(source.table)
        source.serve(source.table.files() | {_FILE: made if isinstance(made, bytes) else made.content()})

    return serve


def _refused(name: str, fault: str, expected: str, change: Callable[[Table], Table | bytes], *words: str) -> Scenario:
    return fails(f"csv-{name}", _GROUP, fault, f"InvalidDataError: {expected}", _serve(change), *words)


def _read(name: str, fault: str, expected: str, change: Callable[[Table], Table | bytes]) -> Scenario:
    return succeeds(f"csv-{name}", _GROUP, fault, expected, _serve(change))


def _through(*rows: tuple[str, str, str, Callable[[Table], Table]]) -> tuple[Scenario, ...]:
    """All in one file, through a whole run: what ingestion lets pass, the jobs must be able to learn from."""

    def change(table: Table) -> Table:
        for _, _, _, one in rows:
            table = one(table)
        return table

    def play(stage: Stage) -> None:
        before = stage.clear(whole=True)
        _serve(change)(stage)
        stage.run_succeeds(before)

    where = "Ingest to Test Endpoint"
    return tuple(Scenario(f"csv-{name}", _GROUP, fault, where, expected, play) for name, fault, expected, _ in rows)


SCENARIOS = (
    _refused(
        "column-missing",
        "a column is missing",
        "names it",
        lambda table: table.without(_NUMBER),
        f"columns are missing: '{_NUMBER}'",
    ),
    _refused(
        "target-missing",
        "the target's column is missing",
        "names it",
        lambda table: table.without(_TARGET),
        f"columns are missing: '{_TARGET}'",
    ),
    _refused(
        "column-added",
        "a column is added",
        "names it, as the use case lists all columns and those to ignore",
        lambda table: table.added("Haunted", "no"),
        "columns are unknown to the use case: 'Haunted'",
    ),
    _refused(
        "column-renamed",
        "a column is renamed",
        "names the missing one and the new one",
        lambda table: table.renamed(_NUMBER, "Depth"),
        f"columns are missing: '{_NUMBER}'",
        "unknown to the use case: 'Depth'",
    ),
    _refused(
        "column-twice",
        "a column is there twice",
        "names it",
        lambda table: table.added(_NUMBER, "1"),
        f"there more than once: '{_NUMBER}'",
    ),
    _refused(
        "wrong-type",
        "text in a column of whole numbers",
        "names column, line and value",
        lambda table: table.set(_INTEGER, "many", 3),
        f"column {_INTEGER}: not a whole number: line 5 ('many')",
    ),
    _refused(
        "wrong-type-number",
        "text in a column of numbers",
        "names column, line and value",
        lambda table: table.set(_NUMBER, "12 feet", 0, 1),
        f"column {_NUMBER}: not a finite number (3.4e+38 at most): 2 times, first at line 2 ('12 feet')",
    ),
    _refused(
        "key-twice",
        "two rows with the same key",
        "names both lines",
        lambda table: table.set(_KEY, "7", 20),
        f"column {_KEY}: the same key again: line 22 ('7, as in line 8')",
    ),
    _refused("empty-file", "a file without a byte", "names it", lambda _table: b"", f"the file {_FILE} is empty"),
    _refused(
        "no-rows",
        "a header without rows",
        "says how many rows are needed",
        lambda table: table.first(0),
        f"0 rows, at least {CASE.columns.minimum_rows} are needed",
    ),
    _refused(
        "one-row",
        "one row",
        "says how many rows are needed",
        lambda table: table.first(1),
        f"1 rows, at least {CASE.columns.minimum_rows} are needed",
    ),
    _refused(
        "huge-cell",
        "a cell of 200,000 characters",
        "names the line, in memory that does not grow with it",
        lambda table: table.set(_CATEGORY, "A" * 200_000, 3),
        "no CSV from here on",
        "line 5",
    ),
    _refused(
        "endless-line",
        "a line of 3 MB without an end",
        "names the line",
        lambda table: table.content() + b"1" * 3_000_000,
        "longer than 1,048,576 characters",
    ),
    _refused(
        "broken-quote",
        "a quote that is never closed",
        "names the line",
        lambda table: table.content() + b'"',
        "no CSV from here on",
    ),
    _refused(
        "short-row",
        "a row with too few cells",
        "names the line",
        lambda table: table.content() + b"999,1,2\n",
        "rows without the header's",
        f"line {202}",
    ),
    _refused(
        "not-utf8",
        "another encoding than UTF-8",
        "names the line",
        lambda table: table.set(_CATEGORY, "Möhre", 3).content().decode().encode("latin-1"),
        "not UTF-8: line 5",
    ),
    _refused(
        "integer-all-missing",
        "a required column without any value",
        "names it and counts",
        lambda table: table.set(_INTEGER, "NA"),
        f"column {_INTEGER}: no value: 200 times",
    ),
    _refused(
        "target-infinite",
        "an infinite target",
        "names column, line and value",
        lambda table: table.set(_TARGET, "inf", 3),
        f"column {_TARGET}: not a positive number",
        "line 5 ('inf')",
    ),
    _refused(
        "target-overflows",
        "a target that is no finite float",
        "names column, line and value",
        lambda table: table.set(_TARGET, "1e999", 3),
        f"column {_TARGET}: not a positive number",
        "line 5 ('1e999')",
    ),
    _refused(
        "number-too-large",
        "a number beyond single precision, in which the forest compares",
        "names column, line and value",
        lambda table: table.set(_NUMBER, "1e39", 3),
        f"column {_NUMBER}: not a finite number (3.4e+38 at most): line 5 ('1e39')",
    ),
    _refused(
        "target-negative",
        "a negative target",
        "names column, line and value",
        lambda table: table.set(_TARGET, "-5", 3),
        f"column {_TARGET}: not a positive number",
        "line 5 ('-5')",
    ),
    _refused(
        "target-all-missing",
        "a target without any value",
        "names it and counts",
        lambda table: table.set(_TARGET, ""),
        f"column {_TARGET}: no value: 200 times",
    ),
    *_through(
        (
            "all-missing",
            "an optional column without any value",
            "succeeds: such a feature is of no use, but harms nobody",
            lambda table: table.set(_NUMBER, "NA").set(_OTHER_CATEGORY, ""),
        ),
        (
            "long-cell",
            "a category of 100,000 characters",
            "succeeds: it is a category like another",
            lambda table: table.set(_CATEGORY, "A" * 100_000, 3),
        ),
        (
            "largest-numbers",
            "numbers as large as a column takes, whose sum is larger",
            "succeeds: as in a request, they are more than any limit in the forest",
            lambda table: table.set(_PARTS[0], "3e38", 3).set(_PARTS[1], "3e38", 3),
        ),
        (
            "bom-crlf",
            "byte order mark and CRLF",
            "succeeds: neither is part of a name or a value",
            lambda table: Table(table.header, table.rows, "\r\n", b"\xef\xbb\xbf"),
        ),
    ),
    _read(
        "bom",
        "byte order mark",
        "succeeds: it is no part of the first column's name",
        lambda table: Table(table.header, table.rows, "\n", b"\xef\xbb\xbf"),
    ),
    _read("cr", "CR alone as line end", "succeeds", lambda table: Table(table.header, table.rows, "\r")),
    _read(
        "blank-lines",
        "blank lines between the rows",
        "succeeds: they are no rows",
        lambda table: table.content().replace(b"\n", b"\n\n"),
    ),
)
