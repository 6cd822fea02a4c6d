"""Evaluates the run's model next to the one in service, and says whether it passes the quality gate."""

from sagemaker_jobs.evaluate.page import page
from sagemaker_jobs.evaluate.statistics import model_quality
from sagemaker_jobs.runner import Job
from sagemaker_jobs.settings import EvaluateSettings
from treering import use_case
from treering.aws.champion import ModelInService
from treering.contracts import EvaluateResult, GateThresholds
from treering.environment import read_environment
from treering.errors import InvalidDataError
from treering.keys import RESULT
from treering.steps import evaluation
from treering.steps.artefact import Artefact
from treering.steps.dataset_version import read_manifest, read_split

ARCHIVE = "model.tar.gz"


def work(job: Job, models: evaluation.FindsChampions | None = None) -> str:
    """Inputs `dataset` (a dataset version) and `model` (model.tar.gz).

    Output: result.json, verdict.json, statistics.json, report.html.
    """
    settings = read_environment(EvaluateSettings, job.environ)
    case = use_case.load(settings.treering_use_case)
    manifest = read_manifest(job.input("dataset"), settings.treering_dataset_version)
    columns = read_split(job.input("dataset"), manifest, "test")
    artefact = Artefact.load_archive(job.input("model") / ARCHIVE)
    if (artefact.card.run_id, artefact.card.dataset_version) != (settings.treering_run_id, manifest.version):
        raise InvalidDataError(
            f"The artefact is of run {artefact.card.run_id} and dataset version {artefact.card.dataset_version}, but "
            f"this is run {settings.treering_run_id} on {manifest.version}. Check the input model."
        )
    champion, champion_uri, note = evaluation.load_champion(models or ModelInService(), settings.endpoint_name)
    result, predictions = evaluation.evaluate(
        case,
        columns,
        evaluation.Challenger(artefact, settings.model_data_url),
        champion,
        champion_uri,
        note,
        GateThresholds(
            max_error=settings.gate_max_error,
            min_r2=settings.gate_min_r2,
            max_worsening=settings.gate_max_worsening,
            confidence=settings.gate_confidence,
        ),
    )
    job.output.mkdir(parents=True, exist_ok=True)
    (job.output / "report.html").write_text(page(case, result, predictions), "utf-8")
    (job.output / "statistics.json").write_text(model_quality(result.challenger.test), "utf-8")
    (job.output / "verdict.json").write_text(result.verdict.to_json(), "utf-8")
    (job.output / RESULT).write_text(result.to_json(), "utf-8")
    return _message(result)


def _message(result: EvaluateResult) -> str:
    outcome = "The quality gate is passed" if result.verdict.passed else "The quality gate is not passed"
    against = f", compared with run {result.champion.run_id} in service" if result.champion else ""
    return f"{outcome}{against}. {result.verdict.summary}"
