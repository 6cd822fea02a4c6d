"""How much a feature says about the target, by itself.

The measure is epsilon squared, the share of the target's variance that lies between groups of rows, adjusted for the
number of groups (Kelley 1935, "An unbiased correlation ratio measure"; Okada 2013 compares it with eta and omega
squared):

    epsilon² = 1 - (SSW / (n - k)) / (SST / (n - 1))

with n rows, k groups, SST = sum((y - mean)²) and SSW the same within the groups. A group is a level of a category, or
one of up to ten bins of equal numbers of rows for a number. It sees relations that are not linear, treats numbers and
categories alike, expects about 0 for a feature without any relation however many levels it has, and has no chance
in it: the same data give the same value. It does not see that two features say the same, nor what only several say
together, so keep many rather than few.
"""

import numpy as np
from numpy.typing import NDArray

MEASURE = "epsilon squared of the learnt target between levels, or between ten bins of a number"
BINS = 10


def of_category(values: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Relevance of a feature whose distinct values are the groups; both arrays have one entry per row."""
    return _epsilon_squared(np.unique(values, return_inverse=True)[1], target)


def of_number(values: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Relevance of a feature whose values are binned first, at their deciles; both arrays have one entry per row."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, values, side="left")
    return _epsilon_squared(np.unique(bins, return_inverse=True)[1], target)


def _epsilon_squared(group: NDArray[np.intp], target: NDArray[np.float64]) -> float:
    """0 where there is nothing to explain, nothing to explain it with, or no row left to tell chance from relation."""
    rows = np.bincount(group)
    centred = target - target.mean()
    total = float((centred**2).sum())
    if len(rows) < 2 or len(target) <= len(rows) or total == 0:
        return 0.0
    between = float((np.bincount(group, centred) ** 2 / rows).sum())
    within = max(total - between, 0.0)
    return 1 - (within / (len(target) - len(rows))) / (total / (len(target) - 1))
