"""What the variants of an experiment answered, row by row, and how far that is from the truth where it is known."""

import math
from collections.abc import Iterable

import numpy as np

from treering.steps.captures import Captured
from treering.steps.experiment_plan import Plan
from treering.steps.experiment_statistics import Errors, Evidence, of_pairs, of_two_groups
from treering.steps.known_truth import Identity, KnownTruth


class Answers:
    """One variant's answers. A row that was asked several times counts once: the same model answers it the same."""

    def __init__(self, truth: KnownTruth, *, log_scale: bool) -> None:
        self._truth, self._log_scale = truth, log_scale
        self.requests = 0
        self.rows = 0
        self.predictions: dict[Identity, float] = {}  # of each different row, in the target's unit
        self.errors: dict[str, float] = {}  # key of a row with known truth → error on the scale that the model learns
        self.learnt: set[str] = set()  # keys of rows that a model has learnt from, which say nothing

    def add(self, captured: Iterable[Captured]) -> None:
        """Take in captured requests."""
        for request in captured:
            self.requests += 1
            for row, prediction in zip(request.rows, request.predictions, strict=True):
                self.rows += 1
                self.predictions[self._truth.identity(row)] = prediction
                known = self._truth.find(row)
                if known is None:
                    continue
                if known.learnt:
                    self.learnt.add(known.key)
                else:
                    self.errors[known.key] = self._error(prediction, known.target)

    @property
    def rmse(self) -> float | None:
        """Of the rows with known truth, on the scale that the model learns."""
        return math.sqrt(sum(error**2 for error in self.errors.values()) / len(self.errors)) if self.errors else None

    def _error(self, prediction: float, target: float) -> float:
        return math.log(prediction) - math.log(target) if self._log_scale else prediction - target


def evidence(challenger: Answers, champion: Answers, plan: Plan, *, shadow: bool) -> Evidence | None:
    """The challenger against the champion; none where too few rows with known truth were asked."""
    if shadow:
        both = sorted(challenger.errors.keys() & champion.errors.keys())
        return of_pairs(_errors(challenger, both), _errors(champion, both), plan)
    return of_two_groups(
        _errors(challenger, sorted(challenger.errors)), _errors(champion, sorted(champion.errors)), plan
    )


def disagreement(challenger: Answers, champion: Answers) -> tuple[int, float, float] | None:
    """Rows that both predicted, and the median and the largest of |challenger - champion| / |champion|; none for none.

    All that can be said of a shadow while no truth is known.
    """
    both = [row for row in challenger.predictions if champion.predictions.get(row)]
    if not both:
        return None
    new, old = (np.array([one.predictions[row] for row in both]) for one in (challenger, champion))
    relative = np.abs(new - old) / np.abs(old)
    return len(both), float(np.median(relative)), float(relative.max())


def _errors(answers: Answers, keys: list[str]) -> Errors:
    return np.array([answers.errors[key] for key in keys], np.float64)
