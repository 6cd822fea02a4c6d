"""Why a run failed: where, with which error, the last lines of the log, and what to try."""

from pathlib import Path

from cli import history, logs
from cli.cloud import Cloud
from cli.ingestion import IngestionFailedError
from cli.report import FailureReport

LOG_LINES = 20
LOG_FILE = "failure.log"  # beside the cloud's other files, since a run's cloud forgets its logs when it ends
_RUNTIME = ("START RequestId:", "END RequestId:", "REPORT RequestId:", "INIT_START ")  # lines that Lambda itself writes


def of_execution(cloud: Cloud, execution: history.Execution) -> FailureReport:
    """Why an execution failed."""
    state = execution.failed_state
    what = (state.failure if state else None) or execution.failure or history.Failure("unknown error", "")
    place = state.log_place if state else None
    log = [line.text for line in logs.lines(cloud, place)] if place else []
    return FailureReport(
        state=state.name if state else "The execution",
        error=what.error,
        cause=what.reason,
        log=_last(log),
        hint=_hint(what.error, _kept(cloud, log)),
    )


def of_ingestion(cloud: Cloud, error: IngestionFailedError) -> FailureReport:
    """Why ingestion started no execution."""
    return FailureReport(
        state="Ingest",
        error=error.error or "no execution was started",
        cause=error.reason,
        log=_last(error.log),
        hint=_hint(error.error, _kept(cloud, error.log)),
    )


def _last(log: list[str]) -> list[str]:
    """The last lines that the program wrote."""
    return [logs.readable(line) for line in log if not line.startswith(_RUNTIME)][-LOG_LINES:]


def _kept(cloud: Cloud, log: list[str]) -> Path | None:
    """Write the whole log into a file that outlives the cloud."""
    if not log:
        return None
    file = cloud.folder / LOG_FILE
    file.write_text("".join(f"{line}\n" for line in log), "utf-8")
    return file


def _hint(error: str, log: Path | None) -> str:
    again = "correct it (a parameter of the template with --parameter NAME=VALUE) and run again"
    if error == "States.Timeout":
        advice = "See in the log what took so long; JobMaxRuntimeInSeconds is a parameter."
    elif error == "CredentialsError":
        advice = "Check the data source's credentials (for --source kaggle: KAGGLE_API_TOKEN or ~/.kaggle/kaggle.json)."
    elif error == "TransientError":
        advice = "Run again: the error is one that may pass."
    elif log is None:
        advice = f"Nothing was logged: what failed did so before a program ran. The cause names it; {again}."
    else:
        advice = f"The cause and the log say what is wrong; {again}."
    return advice + (f" The whole log: {log}" if log else "")
