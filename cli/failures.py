"""Why a run failed: where, with which error, the last lines of the log, and what to try."""

from pathlib import Path

from cli import history, logs, permissions
from cli.cloud import Cloud
from cli.ingestion import IngestionFailedError
from cli.permissions import Missing
from cli.report import FailureReport

LOG_LINES = 20
LOG_FILE = "failure.log"  # beside the cloud's other files, since a run's cloud forgets its logs when it ends
_RUNTIME = ("START RequestId:", "END RequestId:", "REPORT RequestId:", "INIT_START ")  # lines that Lambda itself writes


def of_execution(cloud: Cloud, execution: history.Execution) -> FailureReport:
    """Why an execution failed."""
    name, error, reason = words(execution)
    place = execution.failed_state.log_place if execution.failed_state else None
    log = [line.text for line in logs.lines(cloud, place)] if place else []
    missing = permissions.missing_since(cloud, execution.started)
    return FailureReport(
        state=name,
        error=error,
        cause=reason,
        log=_last(log),
        hint=_hint(error, _kept(cloud, log), missing),
        missing_permissions=missing,
    )


def of_ingestion(cloud: Cloud, error: IngestionFailedError) -> FailureReport:
    """Why ingestion started no execution."""
    missing = permissions.missing_since(cloud, error.since)
    return FailureReport(
        state="Ingest",
        error=error.error or "no execution was started",
        cause=error.reason,
        log=_last(error.log),
        hint=_hint(error.error, _kept(cloud, error.log), missing),
        missing_permissions=missing,
    )


def words(execution: history.Execution) -> tuple[str, str, str]:
    """The state where an execution failed, the error, and the part of the cause that is meant for people."""
    state = execution.failed_state
    what = (state.failure if state else None) or execution.failure or history.Failure("unknown error", "")
    return state.name if state else "The execution", what.error, what.reason


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


def _hint(error: str, log: Path | None, missing: list[Missing]) -> str:
    again = "correct it (a parameter of the template with --parameter NAME=VALUE) and run again"
    if missing:
        advice = "Give the roles what they were denied, as stated below."
    elif error == "States.Timeout":
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
