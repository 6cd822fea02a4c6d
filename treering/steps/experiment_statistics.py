"""When an experiment has seen enough, and what it says: the challenger's error against the champion's.

Errors are prediction minus truth on the scale that the model learns, one per row; a row counts once for a variant,
however often it was asked. What is compared is the mean square; an effect on the RMSE becomes one on the mean square by
its derivative, 2 * RMSE. Rows are taken as independent: where one caller's rows are much alike, the interval is too
narrow.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from treering.contracts import ErrorInterval
from treering.steps.comparison import RESAMPLES, paired_bootstrap, rmse
from treering.steps.experiment_plan import Plan

Errors = NDArray[np.float64]
Action = Literal["promote", "drop", "go_on"]
FEWEST_ROWS = 30  # of each variant; of fewer, the spread is not known well enough to plan with
_SEED = 20_240_102  # the same errors give the same interval
# An experiment that is looked at many times and ended at the first interval without 0 in it is wrong far more often
# than it says. Before the planned size, only what is beyond p = 0.001 ends it, which leaves the last look's confidence
# almost as it is (Haybittle 1971, Br. J. Radiol. 44:793; Peto et al. 1976, Br. J. Cancer 34:585).
EARLY_Z = NormalDist().inv_cdf(1 - 0.001 / 2)


@dataclass(frozen=True)
class Evidence:
    """What the rows with known truth say so far."""

    rows: int  # of both variants together; of a shadow, the rows that both predicted
    champion_rmse: float
    challenger_rmse: float
    difference: ErrorInterval  # challenger minus champion; below 0 the challenger is better
    z: float  # difference of the mean squares over its standard error
    planned_rows: int  # after which the experiment ends

    @property
    def complete(self) -> bool:
        """Whether the planned size is reached."""
        return self.rows >= self.planned_rows


def planned_rows(rows: int, standard_error: float, effect: float, z: float) -> int:
    """Rows in total, divided among the variants as the `rows` so far, to see `effect` in the mean square.

    The standard error must come down to effect / z, and it falls with the root of the rows: n = rows * (z * SE /
    effect)^2. For two variants of equal size this is the usual n = 2 * z^2 * sigma^2 / effect^2 for each, about 16
    sigma^2 / effect^2 for a power of 80 % (Kohavi et al. 2009, "Controlled experiments on the web", Data Min. Knowl.
    Disc. 18:140, section 3.2). The spread is estimated from the rows so far (an internal pilot: Wittes and Brittain
    1990, Stat. Med. 9:65).
    """
    return math.ceil(rows * (z * standard_error / effect) ** 2)


def of_two_groups(challenger: Errors, champion: Errors, plan: Plan) -> Evidence | None:
    """Of an A/B test: the two answered different rows. None where one has fewer than FEWEST_ROWS."""
    if min(len(challenger), len(champion)) < FEWEST_ROWS:
        return None
    new, old = challenger**2, champion**2
    standard_error = math.sqrt(float(new.var(ddof=1)) / len(new) + float(old.var(ddof=1)) / len(old))
    interval = two_group_bootstrap(challenger, champion, confidence=plan.confidence)
    return _evidence(len(new) + len(old), challenger, champion, interval, standard_error, plan)


def of_pairs(challenger: Errors, champion: Errors, plan: Plan) -> Evidence | None:
    """Of a shadow: both predicted the same rows, in this order. None for fewer than FEWEST_ROWS."""
    if len(challenger) < FEWEST_ROWS:
        return None
    standard_error = float((challenger**2 - champion**2).std(ddof=1)) / math.sqrt(len(challenger))
    interval = paired_bootstrap(challenger, champion, confidence=plan.confidence)
    return _evidence(len(challenger), challenger, champion, interval, standard_error, plan)


def two_group_bootstrap(
    challenger: Errors, champion: Errors, *, confidence: float, resamples: int = RESAMPLES
) -> ErrorInterval:
    """RMSE of `challenger` minus RMSE of `champion` with its percentile interval; the rows of each are drawn apart
    (Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 8)."""
    chance = np.random.default_rng(_SEED)
    new, old = challenger**2, champion**2
    differences = np.empty(resamples)
    for index in range(resamples):
        drawn = new[chance.integers(0, len(new), len(new))].mean(), old[chance.integers(0, len(old), len(old))].mean()
        differences[index] = math.sqrt(drawn[0]) - math.sqrt(drawn[1])
    tail = (1 - confidence) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    estimate = rmse(challenger) - rmse(champion)
    return ErrorInterval(
        estimate=estimate, low=float(low), high=float(high), confidence=confidence, resamples=resamples
    )


def decide(evidence: Evidence) -> Action:
    """What to do now. At the planned size, a challenger that is not shown to be better is dropped."""
    if not evidence.complete:
        if abs(evidence.z) <= EARLY_Z:
            return "go_on"
        return "promote" if evidence.z < 0 else "drop"
    return "promote" if evidence.difference.high < 0 else "drop"


def fails_more(challenger: tuple[int, int], champion: tuple[int, int]) -> bool:
    """Whether the challenger fails more often than chance would have it at any look; (failures, requests) of each.

    Pooled test of two proportions (NIST/SEMATECH e-Handbook of Statistical Methods, 7.3.3), one-sided, at EARLY_Z.
    """
    (new, asked), (old, before) = challenger, champion
    if min(asked, before) < FEWEST_ROWS or not new:
        return False
    pooled = (new + old) / (asked + before)
    if pooled >= 1:
        return False
    spread = math.sqrt(pooled * (1 - pooled) * (1 / asked + 1 / before))
    return (new / asked - old / before) / spread > EARLY_Z


def _evidence(
    rows: int, challenger: Errors, champion: Errors, interval: ErrorInterval, standard_error: float, plan: Plan
) -> Evidence:
    old = rmse(champion)
    effect = 2 * old * (plan.effect * old)
    change = float((challenger**2).mean() - (champion**2).mean())
    z = change / standard_error if standard_error > 0 else 0.0 if change == 0 else math.copysign(math.inf, change)
    needed = planned_rows(rows, standard_error, effect, plan.z) if effect > 0 else rows
    return Evidence(rows, old, rmse(challenger), interval, z, max(needed, FEWEST_ROWS))
