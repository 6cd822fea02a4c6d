"""Reads a CSV file and divides its rows into train, validation and test by a hash of the key, with a named tool.

    python split.py {pandas,pandas-chunks,polars,duckdb} TABLE KEY FOLDER

Each tool uses the hash it has, so the same key may fall into another split than Treering's; the shares are the same.
"""

import sys
from pathlib import Path

from usage import report

SHARES = {"train": (0, 70), "validation": (70, 85), "test": (85, 100)}  # percent


def pandas(table: str, key: str, folder: Path, rows: int | None = None) -> None:
    """In memory, or in chunks of `rows`."""
    import pandas as pd

    for number, part in enumerate(pd.read_csv(table, chunksize=rows) if rows else [pd.read_csv(table)]):
        percent = pd.util.hash_pandas_object(part[key], index=False) % 100
        for split, (low, high) in SHARES.items():
            chosen = part[(percent >= low) & (percent < high)]
            chosen.to_csv(folder / f"{split}.csv", index=False, header=not number, mode="a")


def polars(table: str, key: str, folder: Path) -> None:
    """Streaming, one query for all three files."""
    import polars as pl

    rows = pl.scan_csv(table, infer_schema_length=10_000, null_values=["NA"])
    percent = pl.col(key).hash(seed=1) % 100
    pl.collect_all([
        rows.filter(percent.is_between(low, high, closed="left")).sink_csv(folder / f"{split}.csv", lazy=True)
        for split, (low, high) in SHARES.items()
    ])  # fmt: skip


def duckdb(table: str, key: str, folder: Path) -> None:
    """One query for each file, which takes far less memory than one partitioned write."""
    import duckdb

    with duckdb.connect(config={"temp_directory": str(folder)}) as database:
        database.execute("SET preserve_insertion_order = false")
        for split, (low, high) in SHARES.items():
            database.execute(
                f"COPY (SELECT * FROM read_csv('{table}', nullstr='NA', sample_size=100000) "  # noqa: S608  # our own
                f"WHERE hash(\"{key}\") % 100 BETWEEN {low} AND {high - 1}) TO '{folder / split}.csv' (HEADER)"
            )


def main() -> None:
    """Divide, and report."""
    tool, table, key, folder = sys.argv[1:]
    if tool == "pandas-chunks":
        pandas(table, key, Path(folder), 100_000)
    else:
        {"pandas": pandas, "polars": polars, "duckdb": duckdb}[tool](table, key, Path(folder))
    report()


if __name__ == "__main__":
    main()
