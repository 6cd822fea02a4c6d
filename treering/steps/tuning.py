"""Searches among several regressors and their settings, cross-validated, within a time; Optuna does the search.

All of them are trees, so that whatever wins is stored and served in the same way (`treering.steps.forest`).
"""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from treering.clock import Clock
from treering.contracts import TrialRecord, TuningRecord
from treering.errors import InvalidDataError
from treering.steps.forest import Forest
from treering.use_case import Model

if TYPE_CHECKING:
    import optuna

FOLDS = 5
FOREST, EXTRA, BOOSTING = "random_forest", "extra_trees", "gradient_boosting"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tuned:
    """The best regressor, grown on all rows, and the record of the search."""

    forest: Forest
    record: TuningRecord


def search(
    matrix: NDArray[np.float64],
    target: NDArray[np.float64],
    settings: Model,
    clock: Clock,
    *,
    max_seconds: float,
    max_trials: int,
) -> Tuned:
    """Try regressors until the time or the number of trials is over, then grow the best on all rows.

    `matrix`: features, shape (rows, features); `target` on the scale that the model learns. The use case's own forest
    is tried first, to the end whatever the time, so that the search never chooses worse than it. The same trials in the
    same order give the same choice; how many fit into the time depends on the machine.
    """
    import optuna
    from sklearn.model_selection import KFold

    started = clock.monotonic()
    if len(target) < 2 * FOLDS:
        raise InvalidDataError(f"{len(target)} rows are too few to cross-validate in {FOLDS} folds.")
    folds = list(KFold(FOLDS, shuffle=True, random_state=settings.random_state).split(matrix))
    spread = float(((target - target.mean()) ** 2).mean())
    records: list[TrialRecord] = []

    def objective(trial: "optuna.Trial") -> float:
        begun = clock.monotonic()
        regressor, chosen = _suggest(trial, settings)
        squares: list[float] = []
        for number, (train, held_out) in enumerate(folds):
            model = _make(regressor, chosen, settings.random_state)
            model.fit(matrix[train], target[train])
            squares.append(float(np.mean((model.predict(matrix[held_out]) - target[held_out]) ** 2)))
            trial.report(float(np.sqrt(np.mean(squares))), number)
            late = records and clock.monotonic() - started > max_seconds
            if number + 1 < FOLDS and (late or trial.should_prune()):
                records.append(_record(regressor, chosen, None, None, clock.monotonic() - begun))
                raise optuna.TrialPruned
        error = float(np.sqrt(np.mean(squares)))
        r2 = 1 - float(np.mean(squares)) / spread if spread else 0.0
        records.append(_record(regressor, chosen, error, r2, clock.monotonic() - begun))
        log.info("Trial %d: %s, error %.4f", len(records), regressor, error)
        return error

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=settings.random_state),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
    )
    study.enqueue_trial(_own(settings))
    study.optimize(objective, n_trials=max_trials, timeout=max_seconds)
    ranked = tuple(sorted(records, key=lambda trial: (trial.error is None, trial.error or 0.0)))
    chosen = ranked[0]
    model = _make(chosen.regressor, chosen.settings, settings.random_state).fit(matrix, target)
    record = TuningRecord(
        trials=ranked,
        chosen=chosen,
        why=_why(ranked),
        folds=FOLDS,
        seconds=round(clock.monotonic() - started, 3),
    )
    return Tuned(forest_of(model), record)


def forest_of(model: Any) -> Forest:
    """A fitted RandomForestRegressor, ExtraTreesRegressor or GradientBoostingRegressor as flat arrays."""
    features = int(model.n_features_in_)
    if not hasattr(model, "learning_rate"):
        return Forest.from_sklearn(model)
    trees = [estimator.tree_ for estimator in model.estimators_.ravel()]
    base = float(np.ravel(model.init_.constant_)[0])  # boosting starts from the mean
    return Forest.from_trees(trees, features, scale=len(trees) * model.learning_rate, base=base)


def _own(settings: Model) -> dict[str, Any]:
    """The use case's own forest, as parameters of a trial."""
    return {
        "regressor": FOREST,
        f"{FOREST}.n_estimators": settings.n_estimators,
        f"{FOREST}.max_features": settings.max_features,
        f"{FOREST}.min_samples_leaf": settings.min_samples_leaf,
    }


def _suggest(trial: "optuna.Trial", settings: Model) -> tuple[str, dict[str, float]]:
    regressor = trial.suggest_categorical("regressor", [FOREST, EXTRA, BOOSTING])

    def whole(name: str, low: int, high: int, *, log: bool = False) -> int:
        return trial.suggest_int(f"{regressor}.{name}", low, high, log=log)

    def share(name: str, low: float, high: float, *, log: bool = False) -> float:
        return trial.suggest_float(f"{regressor}.{name}", low, high, log=log)

    if regressor == BOOSTING:
        return regressor, {
            "n_estimators": whole("n_estimators", 100, 600, log=True),
            "learning_rate": share("learning_rate", 0.02, 0.2, log=True),
            "max_depth": whole("max_depth", 2, 6),
            "min_samples_leaf": whole("min_samples_leaf", 1, 20, log=True),
            "max_features": share("max_features", 0.1, 1.0),
            "subsample": share("subsample", 0.5, 1.0),
        }
    most = max(400, settings.n_estimators)
    return regressor, {
        "n_estimators": whole("n_estimators", min(100, settings.n_estimators), most, log=True),
        "max_features": share("max_features", 0.1, 1.0),
        "min_samples_leaf": whole("min_samples_leaf", 1, max(8, settings.min_samples_leaf), log=True),
    }


def _make(regressor: str, settings: dict[str, float], random_state: int) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor, RandomForestRegressor

    wholes = ("n_estimators", "max_depth", "min_samples_leaf")
    given: dict[str, Any] = {name: int(value) if name in wholes else value for name, value in settings.items()}
    if regressor == BOOSTING:
        return GradientBoostingRegressor(random_state=random_state, **given)
    kind = {FOREST: RandomForestRegressor, EXTRA: ExtraTreesRegressor}[regressor]
    return kind(random_state=random_state, n_jobs=-1, **given)


def _record(
    regressor: str, settings: dict[str, float], error: float | None, r2: float | None, seconds: float
) -> TrialRecord:
    return TrialRecord(regressor=regressor, settings=settings, error=error, r2=r2, seconds=round(seconds, 3))


def _why(ranked: tuple[TrialRecord, ...]) -> str:
    best, finished = ranked[0], [trial for trial in ranked if trial.error is not None]
    text = f"The lowest cross-validated error of {len(finished)} finished trials: {best.error:.4f} ({best.regressor})"
    others = {trial.regressor: trial for trial in reversed(finished) if trial.regressor != best.regressor}
    if others:
        text += "; the best of " + ", ".join(f"{name} had {trial.error:.4f}" for name, trial in others.items())
    left = len(ranked) - len(finished)
    return text + (f". {left} were given up early." if left else ".")
