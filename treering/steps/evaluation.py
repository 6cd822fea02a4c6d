"""Evaluates a new model (the challenger) on the test split, next to the model in service (the champion), if any."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from treering.contracts import EvaluateResult, GateThresholds, ModelErrors, Verdict
from treering.errors import InvalidDataError
from treering.steps.artefact import Artefact
from treering.steps.comparison import paired_bootstrap
from treering.steps.fitting import learnt, read_target
from treering.steps.gate import judge
from treering.steps.importance import permutation_importance
from treering.steps.metrics import regression_metrics
from treering.steps.preprocessing import Cell
from treering.steps.segments import segment_errors
from treering.use_case import UseCase


@dataclass(frozen=True)
class Champion:
    """The model in service: endpoint configuration, SageMaker model, and URI of its model.tar.gz."""

    config_name: str
    model_name: str
    model_data_url: str


class FindsChampions(Protocol):
    """What `treering.aws.champion.ModelInService` does."""

    def find(self, endpoint_name: str) -> Champion | None: ...  # noqa: D102
    def fetch(self, champion: Champion, path: Path) -> None: ...  # noqa: D102


@dataclass(frozen=True)
class Predictions:
    """What was evaluated, for plots: truth and predictions in the target's unit, one per test row."""

    actual: NDArray[np.float64]
    challenger: NDArray[np.float64]
    champion: NDArray[np.float64] | None


@dataclass(frozen=True)
class Challenger:
    """The new model: its artefact and where that lies."""

    artefact: Artefact
    model_data_url: str


def load_champion(models: FindsChampions, endpoint_name: str) -> tuple[Artefact | None, str, str | None]:
    """Artefact of the model behind `endpoint_name`, its URI, and a note where there is one that cannot be read.

    A model in service that this version of Treering cannot read must not block every later one for ever: it is left
    out of the comparison, and the note says so.
    """
    champion = models.find(endpoint_name)
    if champion is None:
        return None, "", None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tar.gz"
        models.fetch(champion, path)
        try:
            return Artefact.load_archive(path), champion.model_data_url, None
        except InvalidDataError as error:
            return None, champion.model_data_url, _note(champion.model_data_url, error)


def evaluate(
    use_case: UseCase,
    columns: Mapping[str, Sequence[Cell]],
    challenger: Challenger,
    champion: Artefact | None,
    champion_uri: str,
    note: str | None,
    thresholds: GateThresholds,
) -> tuple[EvaluateResult, Predictions]:
    """Both models' errors on the raw rows `columns` (key and target among them), and what the gate says to them."""
    actual = read_target(columns, use_case)
    truth = learnt(actual, use_case.target.log_scale)
    card = challenger.artefact.card
    new = challenger.artefact.predict(columns)
    old = None
    if champion is not None:
        try:
            old = champion.predict(columns)
        except InvalidDataError as error:  # for example a column that the data no longer have
            champion, note = None, _note(champion_uri, error)
    new_errors = learnt(new, use_case.target.log_scale) - truth
    old_errors = None if old is None else learnt(old, use_case.target.log_scale) - truth
    test = regression_metrics(actual, new, log_scale=use_case.target.log_scale)
    difference = (
        None if old_errors is None else paired_bootstrap(new_errors, old_errors, confidence=thresholds.confidence)
    )
    judgement = judge(thresholds, test, difference, champion.card.run_id if champion else None)
    reasons = (*judgement.reasons, note) if note else judgement.reasons
    old_test = None if old is None else regression_metrics(actual, old, log_scale=use_case.target.log_scale)
    verdict = Verdict(
        run_id=card.run_id,
        dataset_version=card.dataset_version,
        passed=judgement.passed,
        above_floor=judgement.above_floor,
        reasons=reasons,
        summary=" ".join(reasons),
        first_model=champion is None and note is None,
        error=test.mse**0.5,
        champion_error=None if old_test is None else old_test.mse**0.5,
        difference=difference,
    )
    result = EvaluateResult(
        run_id=card.run_id,
        dataset_version=card.dataset_version,
        thresholds=thresholds,
        verdict=verdict,
        challenger=ModelErrors(run_id=card.run_id, model_data_url=challenger.model_data_url, test=test),
        champion=None
        if champion is None or old_test is None
        else ModelErrors(run_id=champion.card.run_id, model_data_url=champion_uri, test=old_test),
        champion_note=note,
        segments=segment_errors(use_case, columns, new_errors, old_errors),
        importance=permutation_importance(
            challenger.artefact.forest.predict,
            challenger.artefact.preprocessing.transform(columns),
            truth,
            challenger.artefact.preprocessing.feature_names,
        ),
    )
    return result, Predictions(actual, new, old)


def _note(uri: str, error: InvalidDataError) -> str:
    return f"The model in service ({uri}) could not be compared: {error}"
