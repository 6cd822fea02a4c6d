"""A forest, and the preprocessing before it, in C: see native.h for the arrays and predict.c for what is read.

The library is plain C called through ctypes, which lets other threads run meanwhile. It trusts its arrays: who makes a
`Trees` or a `Model` has checked that no index leads out of them.
"""

import ctypes
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_FEATURES = 1024  # a node has 10 bits for its feature
MOST_NODES = 2**21  # of a tree; a node has 22 bits for the distance to its right child, and a leaf takes two places
_THREADS = min(len(os.sched_getaffinity(0)), 16)  # for many rows at once
NODE = np.dtype([("limit", np.float32), ("where", np.uint32)])
_ENTRY = np.dtype([("text", np.uintp), ("length", np.uint32), ("owner", np.uint32), ("value", np.float64)])
_COLUMN = np.dtype(
    [("number", np.int32), ("category", np.int32), ("unseen", np.float64), ("missing", np.float64)], align=True
)
_COMPUTED = np.dtype(
    [("feature", np.uint32), ("first", np.uint32), ("count", np.uint32), ("is_sum", np.uint32), ("fill", np.float64)],
    align=True,
)
CSV, CSV_WITH_HEADER, CSV_WITHOUT_HEADER, JSON = range(4)  # formats of a body


class _Forest(ctypes.Structure):
    _fields_ = (
        ("nodes", ctypes.c_void_p),
        ("roots", ctypes.c_void_p),
        ("trees", ctypes.c_uint32),
        ("features", ctypes.c_uint32),
    )


class _Table(ctypes.Structure):
    _fields_ = (("entries", ctypes.c_void_p), ("mask", ctypes.c_uint32))


class _Model(ctypes.Structure):
    _fields_ = (
        ("forest", _Forest),
        ("names", _Table),
        ("levels", _Table),
        ("missing", _Table),
        ("columns", ctypes.c_void_p),
        ("computed", ctypes.c_void_p),
        ("parts", ctypes.c_void_p),
        ("column_count", ctypes.c_uint32),
        ("computed_count", ctypes.c_uint32),
        ("number_count", ctypes.c_uint32),
        ("needed", ctypes.c_uint32),
        ("log_scale", ctypes.c_uint32),
        ("threads", ctypes.c_uint32),
    )


_library = ctypes.CDLL(str(Path(__file__).with_name("library.so")))
_walk = _library.walk
_walk.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_uint32)
_walk.restype = None
_table_put = _library.table_put
_table_put.argtypes = (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_char_p, ctypes.c_uint32, ctypes.c_double)
_table_put.restype = None
_predict = _library.predict
_predict.argtypes = (
    ctypes.c_void_p,
    ctypes.c_char_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_size_t,
)
_predict.restype = ctypes.c_int64


class Trees:
    """Trees one after the other: `nodes` of type NODE, as native.h has them, and the places of the `roots` in them."""

    def __init__(self, nodes: NDArray[Any], roots: NDArray[np.integer[Any]], features: int) -> None:
        self.features = features
        self._arrays = np.ascontiguousarray(nodes, NODE), np.ascontiguousarray(roots, np.uint32)
        self.struct = _Forest(*(array.ctypes.data for array in self._arrays), len(roots), features)
        self._address = ctypes.addressof(self.struct)

    def walk(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Mean of the trees' predictions, shape (rows,), for rows of shape (rows, features)."""
        rows = np.ascontiguousarray(rows, np.float32)
        predictions = np.empty(len(rows))
        _walk(self._address, rows.ctypes.data, len(rows), predictions.ctypes.data, _THREADS)
        return predictions


@dataclass(frozen=True)
class Column:
    """A raw column: its name; its place among the numbers, or -1; its category's feature, or -1, with the codes of the
    levels, of one never seen and of a missing value."""

    name: str
    number: int = -1
    category: int = -1
    codes: Mapping[str, float] | None = None
    unseen: float = 0.0
    missing: float = 0.0


@dataclass(frozen=True)
class Computed:
    """A feature that is one number (`fill` where missing) or the sum of several, given by their places."""

    feature: int
    parts: Sequence[int]
    is_sum: bool
    fill: float = 0.0


class Model:
    """Trees and what makes their features of raw values. Can be asked by several threads at once."""

    def __init__(
        self,
        trees: Trees,
        columns: Sequence[Column],
        computed: Sequence[Computed],
        missing_tokens: Iterable[str],
        *,
        log_scale: bool,
    ) -> None:
        tokens = list(missing_tokens)
        names = {(0, column.name): float(place) for place, column in enumerate(columns)}
        levels: dict[tuple[int, str], float] = {}
        for place, column in enumerate(columns):
            if column.category >= 0:
                levels |= {(place, level): code for level, code in (column.codes or {}).items()}
                levels |= {(place, token): column.missing for token in tokens}
        numbers = sum(column.number >= 0 for column in columns)
        described = [(column.number, column.category, column.unseen, column.missing) for column in columns]
        firsts = np.cumsum([0, *(len(of.parts) for of in computed)])
        made = [
            (of.feature, first, len(of.parts), of.is_sum, of.fill)
            for of, first in zip(computed, firsts[:-1], strict=True)
        ]
        self._kept: list[object] = [trees]  # what C has addresses of
        self._struct = _Model(
            trees.struct,
            self._table(names),
            self._table(levels),
            self._table({(0, token): 0.0 for token in tokens}),
            self._address(np.array(described, _COLUMN)),
            self._address(np.array(made, _COMPUTED)),
            self._address(np.array([part for of in computed for part in of.parts], np.uint32)),
            len(columns),
            len(computed),
            numbers,
            sum(column.number >= 0 or column.category >= 0 for column in columns),
            log_scale,
            _THREADS,
        )
        self.address = ctypes.addressof(self._struct)  # for other C code

    def predict(self, body: bytes, body_format: int) -> Sequence[float] | None:
        """Predictions for the rows of a request's body, none if it is not plain or not right: then nobody knows yet."""
        capacity = body.count(b"\n") + 1 if body_format != JSON else body.count(b"{") + body.count(b"[")
        predictions = (ctypes.c_double * capacity)()
        rows = _predict(self.address, body, len(body), body_format, predictions, capacity)
        if rows < 0:
            return None
        found: list[float] = predictions[:rows]
        return found

    def _address(self, array: NDArray[Any]) -> int:
        self._kept.append(array)
        return array.ctypes.data

    def _table(self, values: Mapping[tuple[int, str], float]) -> _Table:
        places = 1 << (2 * len(values) + 1).bit_length()
        table = _Table(self._address(np.zeros(places, _ENTRY)), places - 1)
        for (owner, text), value in values.items():
            encoded = text.encode()
            self._kept.append(encoded)
            _table_put(ctypes.addressof(table), owner, encoded, len(encoded), value)
        return table
