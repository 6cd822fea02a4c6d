"""Fits the preprocessing on the training split and applies it to all three."""

from sagemaker_jobs.preprocess.summary import summary
from sagemaker_jobs.runner import Job
from sagemaker_jobs.settings import PreprocessSettings
from treering import use_case
from treering.contracts import PreprocessResult
from treering.environment import read_environment
from treering.keys import RESULT, SPLITS
from treering.steps import fitting, relevance
from treering.steps.artefact import PREPROCESSING
from treering.steps.dataset_version import read_manifest, read_split, require_memory
from treering.steps.prepared import write_prepared


def work(job: Job) -> str:
    """Input `dataset`: a dataset version. Output: <split>/<split>.csv, preprocessing/, result.json, summary.md."""
    settings = read_environment(PreprocessSettings, job.environ)
    case = use_case.load(settings.treering_use_case)
    manifest = read_manifest(job.input("dataset"), settings.treering_dataset_version)
    require_memory(manifest, "train", len(case.columns.features), "ProcessingInstanceType")
    columns = read_split(job.input("dataset"), manifest, "train")
    preprocessing, kept, dropped = fitting.fit(
        columns, case, run_id=settings.treering_run_id, dataset_version=settings.treering_dataset_version
    )
    rows = {}
    for split in SPLITS:  # one after the other, so that only one is in memory
        if split != "train":
            columns = read_split(job.input("dataset"), manifest, split)
        target = fitting.read_target(columns, case)
        write_prepared(job.output / split / f"{split}.csv", preprocessing, columns, target)
        rows[split] = len(target)
    result = PreprocessResult(
        run_id=settings.treering_run_id,
        dataset_version=settings.treering_dataset_version,
        rows=rows,
        relevance_measure=relevance.MEASURE,
        kept=kept,
        dropped=dropped,
    )
    (job.output / "preprocessing").mkdir(parents=True, exist_ok=True)
    (job.output / "preprocessing" / PREPROCESSING).write_text(preprocessing.to_json(), "utf-8")
    (job.output / "summary.md").write_text(summary(case, preprocessing, result), "utf-8")
    (job.output / RESULT).write_text(result.to_json(), "utf-8")
    return (
        f"Prepared {rows['train']:,} training, {rows['validation']:,} validation and {rows['test']:,} test rows of "
        f"dataset version {result.dataset_version}; kept the {len(kept)} most relevant of "
        f"{len(kept) + len(dropped)} features, first of all {', '.join(record.name for record in kept[:3])}."
    )
