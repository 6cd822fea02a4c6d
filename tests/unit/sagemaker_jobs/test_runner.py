"""The runner: exit code, exit message and failure reason of every job."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sagemaker_jobs.runner import Job, run
from treering.errors import ConfigurationError, InvalidDataError

ROOT = Path(__file__).parents[3]
PROGRAMS = ("preprocess", "train", "deploy_endpoint", "test_endpoint", "serve")


def told(job, name):
    """What the job told in `message` or `failure`."""
    return (job.root / "output" / name).read_text()


def test_message_of_a_finished_job(tmp_path):
    """The work's sentence is the exit message, and nothing failed."""
    job = Job(tmp_path, {})

    assert run(lambda _: "All done.", job) == 0
    assert told(job, "message") == "All done."
    assert not (tmp_path / "output/failure").exists()


def test_known_errors_are_told_by_name(tmp_path):
    """An error of the application is its name and its message, without a stack trace."""
    job = Job(tmp_path, {})

    def work(_):
        raise InvalidDataError("The split is empty.")

    assert run(work, job) == 1
    assert told(job, "failure") == told(job, "message") == "InvalidDataError: The split is empty."


def test_unexpected_errors_leave_a_stack_trace_in_the_log(tmp_path, caplog):
    """A defect is told by its type, and the log has the stack trace."""
    job = Job(tmp_path, {})

    assert run(lambda _: 1 / 0, job) == 1
    assert "ZeroDivisionError" in told(job, "failure")
    assert "Traceback" in caplog.text


def test_long_reasons_are_cut_at_a_kilobyte(tmp_path):
    """SageMaker keeps a kilobyte; a character is never cut in two."""
    job = Job(tmp_path, {})

    def work(_):
        raise InvalidDataError("ä" * 5000)

    run(work, job)

    assert 1000 < len((tmp_path / "output/failure").read_bytes()) <= 1024
    assert told(job, "failure").endswith("ä")


def test_a_full_volume_is_told_all_the_same(tmp_path, monkeypatch):
    """What the job has written makes room for its last words, which name the parameter to raise."""
    job = Job(tmp_path, {})
    write = Path.write_text

    def write_if_there_is_room(path, *arguments):
        if job.output.exists() and path.parent != job.output:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(path, *arguments)

    def work(job):
        job.output.mkdir(parents=True)
        (job.output / "half").write_text("a result")
        raise OSError(errno.ENOSPC, "No space left on device", "result.json")

    monkeypatch.setattr(Path, "write_text", write_if_there_is_room)

    assert run(work, job) == 1
    assert "No space left on device" in told(job, "failure")
    assert "JobVolumeSizeInGB" in told(job, "message")


def test_a_result_is_worth_more_than_a_message(tmp_path, monkeypatch):
    """A job that has just filled the volume with its result keeps it, and says nothing."""
    job = Job(tmp_path, {})

    def full(path, *_):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    def work(job):
        job.output.mkdir(parents=True)
        (job.output / "result.json").write_bytes(b"{}")
        monkeypatch.setattr(Path, "write_text", full)
        return "All done."

    assert run(work, job) == 0
    assert (job.output / "result.json").read_bytes() == b"{}"


def test_missing_hyperparameters_file_is_named(tmp_path):
    """A training job without its hyperparameters says where they should be."""
    with pytest.raises(ConfigurationError, match=r"hyperparameters\.json"):
        Job(tmp_path, {}).hyperparameters()


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_program_starts_its_module(name):
    """The executable of each job is there, may be executed, and replaces itself by the job's module."""
    program = ROOT / "sagemaker_jobs/bin" / name

    assert os.access(program, os.X_OK)
    assert program.read_text() == f'#!/bin/sh\nexec python3 -m sagemaker_jobs {name} "$@"\n'
    assert (ROOT / "sagemaker_jobs" / name / "__main__.py").is_file()


def test_a_job_ends_with_its_work(tmp_path):
    """What was printed is there, and no thread that still waits for something holds the job up."""
    code = (
        "import pathlib, sys, threading, time; from sagemaker_jobs import runner; "
        "job = runner.Job(pathlib.Path(sys.argv[1])); "
        "threading.Thread(target=time.sleep, args=(600,)).start(); "
        "runner.main(lambda job: print('printed', end='') or 'Done.', job)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.replace("printed", "printed\n").split()) == ["Done.", "printed"]
    assert (tmp_path / "output/message").read_text() == "Done."


def test_a_program_collects_garbage_once_it_works(tmp_path):
    """Not while it imports; from then on, it does: a week's data may be large."""
    code = (
        "import gc, sys; from sagemaker_jobs import runner; "
        "runner.main = lambda work: print(gc.isenabled()); sys.argv = ['-', 'train']; "
        "import runpy; runpy.run_module('sagemaker_jobs', run_name='__main__')"
    )
    begun = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    code = (
        "import gc, pathlib, sys; gc.disable(); from sagemaker_jobs import runner; "
        "runner.main(lambda job: str(gc.isenabled()), runner.Job(pathlib.Path(sys.argv[1])))"
    )
    works = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert (begun.stdout, works.stdout) == ("False\n", "True\n")


def test_sigterm_ends_a_job_with_its_reason(tmp_path):
    """A job that is asked to stop says so and exits with 1; as process 1 of a container it would else go on."""
    code = (
        "import pathlib, sys, time; from sagemaker_jobs import runner; "
        "job = runner.Job(pathlib.Path(sys.argv[1])); "
        "runner.main(lambda job: str(print('started', flush=True) or time.sleep(60)), job)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"started\n"
    process.send_signal(signal.SIGTERM)

    assert process.wait(20) == 1
    assert "StoppedError" in (tmp_path / "output/failure").read_text()
