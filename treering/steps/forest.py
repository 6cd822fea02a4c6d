"""A regression forest as flat arrays: data instead of pickled code, and a prediction in C (treering_native).

All trees lie one after the other in the same arrays, a node's left child right behind it. Node `i` asks whether value
`feature[i]` of the row, in single precision, is at most `number[i]`: if so the next node is `i + 1`, else `right[i]`.
Where `right[i]` is `i`, the node is a leaf and `number[i]` its prediction. This is scikit-learn's own rule
(`sklearn.tree._tree` converts rows to float32 and compares with float64 thresholds). The trees are added up one after
the other and the sum is divided by their number, as scikit-learn does with one thread, so the predictions are those of
scikit-learn to the last bit.
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from treering_native import MOST_FEATURES, MOST_NODES, NODE, Trees

from treering.errors import ConfigurationError, InvalidDataError

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor

LARGEST_FILE = 2 * 1024**3  # bytes that the arrays may take, packed or not
_NODE_BYTES = 14  # of a node's feature, number and right child
_DTYPES = {"feature": np.uint16, "number": np.float64, "right": np.int32, "roots": np.int32}


@dataclass(frozen=True, eq=False)
class Forest:
    """`feature`, `number`, `right`: one entry per node; `roots`: the first node of each tree, ascending from 0."""

    feature: NDArray[np.uint16]
    number: NDArray[np.float64]
    right: NDArray[np.int32]
    roots: NDArray[np.int32]
    features: int  # values in a row

    @classmethod
    def from_sklearn(cls, model: "RandomForestRegressor") -> Self:
        """The same forest as a fitted scikit-learn one. Raises ValueError if its nodes are not in depth-first order."""
        return cls.from_trees([estimator.tree_ for estimator in model.estimators_], int(model.n_features_in_))

    @classmethod
    def from_trees(cls, trees: Sequence[Any], features: int, *, scale: float = 1.0, base: float = 0.0) -> Self:
        """A forest of scikit-learn's trees (`sklearn.tree._tree.Tree`) for rows of so many `features`.

        A leaf becomes `scale` times its value plus `base`: so a sum of trees, as boosting has it, is a mean as well.
        """
        feature, number, right, roots, offset = [], [], [], [], 0
        for tree in trees:
            own = np.arange(tree.node_count)
            leaf = tree.children_left < 0
            if not np.array_equal(tree.children_left[~leaf], own[~leaf] + 1):
                raise ValueError("expected trees grown depth first (max_leaf_nodes=None)")
            feature.append(np.where(leaf, 0, tree.feature))
            number.append(np.where(leaf, scale * tree.value[:, 0, 0] + base, tree.threshold))
            right.append(np.where(leaf, own, tree.children_right) + offset)
            roots.append(offset)
            offset += tree.node_count
        if offset * _NODE_BYTES > LARGEST_FILE:
            raise ConfigurationError(
                f"The forest has {offset:,} nodes, which take {offset * _NODE_BYTES:,} bytes; {LARGEST_FILE:,} are the "
                "most. Raise min_samples_leaf or lower n_estimators of the use case's model."
            )
        return cls(
            feature=np.concatenate(feature).astype(np.uint16),
            number=np.concatenate(number).astype(np.float64),
            right=np.concatenate(right).astype(np.int32),
            roots=np.array(roots, np.int32),
            features=features,
        )

    def save(self, path: Path) -> None:
        """Write the arrays to `path` (.npz); the same forest gives the same bytes."""
        np.savez(
            path,
            feature=self.feature,
            number=self.number,
            right=self.right,
            roots=self.roots,
            features=np.array(self.features, np.int32),
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and check what `save` wrote; never unpickles. Raises InvalidDataError for anything else."""
        try:
            with zipfile.ZipFile(path) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
            if size > LARGEST_FILE:
                raise InvalidDataError(
                    f"{path.name} unpacks to {size:,} bytes, more than the {LARGEST_FILE:,} allowed."
                )
            with np.load(path, allow_pickle=False) as arrays:
                # an entry that is no array comes as its bytes
                loaded = {name: np.asarray(arrays[name]) for name in (*_DTYPES, "features")}
            features = int(loaded["features"])
        except InvalidDataError:
            raise
        except Exception as error:  # numpy and zipfile document nothing of what damaged files raise: a dozen kinds
            raise InvalidDataError(
                f"{path.name} is no forest of this version of Treering: {error}. Train again."
            ) from error
        for name, dtype in _DTYPES.items():
            if loaded[name].dtype != dtype or loaded[name].ndim != 1:
                raise InvalidDataError(f"{path.name}: {name} is no flat array of {np.dtype(dtype)}. Train again.")
        forest = cls(**{name: loaded[name] for name in _DTYPES}, features=features)
        if problem := forest._problem():
            raise InvalidDataError(f"{path.name} is damaged: {problem}. Train again.")
        return forest

    def predict(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean of the trees' predictions, shape (rows,), for rows of shape (rows, features).

        A row's prediction does not depend on the rows beside it, to the last bit.
        """
        if matrix.ndim != 2 or matrix.shape[1] != self.features:
            raise ValueError(f"expected rows of {self.features} values, got an array of shape {matrix.shape}")
        return self.trees.walk(matrix.astype(np.float32))

    @property
    def highest(self) -> float:
        """What no prediction is above: the mean of each tree's highest leaf."""
        leaves = np.where(self.right == np.arange(len(self.right)), self.number, -np.inf)
        return float(np.maximum.reduceat(leaves, self.roots).mean())

    @cached_property
    def trees(self) -> Trees:
        """The same for C.

        A threshold becomes the largest float32 that is not above it: a float32 is at most the one if and only if it is
        at most the other.
        """
        leaf = self.right == np.arange(len(self.right))
        place = np.append(0, np.cumsum(1 + leaf))  # of each node: a leaf takes two places
        limit = self.number.astype(np.float32)
        above = limit > self.number
        limit[above] = np.nextafter(limit[above], np.float32(-np.inf))
        nodes = np.zeros(place[-1], NODE)
        nodes["limit"][place[:-1]] = np.where(leaf, np.float32(np.nan), limit)
        nodes["where"][place[:-1]] = self.feature | (place[self.right] - place[:-1]) << 10
        nodes.view(np.float64)[place[:-1][leaf] + 1] = self.number[leaf]
        return Trees(nodes, place[self.roots], self.features)

    def _problem(self) -> str:
        """What would make a walk leave the arrays, run for ever or give no number; empty if nothing."""
        nodes = len(self.right)
        if not nodes or not len(self.feature) == len(self.number) == nodes or nodes > np.iinfo(np.int32).max // 2:
            return "the arrays have not one entry per node"
        if not len(self.roots) or self.roots[0] != 0 or (np.diff(self.roots) <= 0).any() or self.roots[-1] >= nodes:
            return "the roots are not the first nodes of trees"
        own = np.arange(nodes)
        end = np.append(self.roots[1:], nodes)[np.searchsorted(self.roots, own, side="right") - 1]
        inner = self.right != own
        if (inner & ((self.right <= own + 1) | (self.right >= end))).any():
            return "a node's child lies outside its tree"
        if int(np.diff(self.roots, append=nodes).max()) > MOST_NODES:
            return f"a tree has more than {MOST_NODES:,} nodes"
        if not 0 < self.features <= MOST_FEATURES or int(self.feature.max()) >= self.features:
            return f"a node asks for a value that no row has, or a row has more than {MOST_FEATURES:,} values"
        # no mean of predictions can be infinite either
        finite = np.abs(self.number).max() < np.finfo(np.float64).max / len(self.roots)
        return "" if finite else "a threshold or prediction is no number"
