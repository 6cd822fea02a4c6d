"""Test endpoint: the live endpoint must answer as the artefact does, with the configuration that was deployed."""

from dataclasses import dataclass, field

import pytest

from sagemaker_jobs import runner
from sagemaker_jobs.runner import Job
from sagemaker_jobs.serve.answers import answer
from sagemaker_jobs.test_endpoint.job import work
from tests.fakes.sagemaker_hosting import FakeHosting
from treering.contracts import TestEndpointResult
from treering.errors import EndpointError, InvalidDataError
from treering.steps.artefact import Artefact
from treering.steps.deployment import EndpointState

ENDPOINT, CONFIG = "treering-dev-house-prices", "treering-dev-20240101-060000-0a1b2c3d-0"


@dataclass
class FakeRuntime:
    """Sends requests to the container's answers, without a network."""

    artefact: Artefact
    factor: float = 1.0  # what a CSV answer is multiplied with
    types: list[str] = field(default_factory=list)
    body: bytes | None = None

    def invoke(self, endpoint_name: str, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """Body and content type of the answer."""
        assert endpoint_name == ENDPOINT
        self.types.append(content_type)
        given = answer(self.artefact, "POST", "/invocations", {"content-type": content_type, "accept": accept}, body)
        if given.status != 200:
            raise EndpointError(f"The container answered {given.status}: {given.body!r}")
        text = given.body if self.body is None else self.body
        if self.factor != 1 and accept == "text/csv":
            lines = text.decode().splitlines()
            text = "\n".join([repr(float(lines[0]) * self.factor), *lines[1:]]).encode()
        return text, given.headers["content-type"]


@pytest.fixture
def job(run, tmp_path):
    """A job with the run's dataset and artefact."""
    job = Job(
        tmp_path,
        {
            "TREERING_USE_CASE": "house_prices",
            "TREERING_RUN_ID": "20240101-060000-0a1b2c3d",
            "TREERING_DATASET_VERSION": "0123456789abcdef",
            "ENDPOINT_NAME": ENDPOINT,
            "ENDPOINT_CONFIG_NAME": CONFIG,
            "LOAD_TEST_SECONDS": "0",
            "LOAD_TEST_CONCURRENCY": "3",
            "LOAD_TEST_MAX_P99_MILLISECONDS": "1000",
        },
    )
    job.input("model").mkdir(parents=True)
    run.archive(job.input("model") / "model.tar.gz")
    job.input("dataset").symlink_to(run.preprocess_job.input("dataset"))
    return job


@pytest.fixture
def hosting():
    """SageMaker with the endpoint as it was deployed."""
    hosting = FakeHosting()
    hosting.endpoints[ENDPOINT] = EndpointState("InService", CONFIG)
    return hosting


@pytest.fixture
def runtime(artefact):
    """The endpoint's container."""
    return FakeRuntime(artefact)


def test_report_has_errors_latency_agreement_and_examples(job, hosting, runtime, run):
    """The report holds what the live endpoint said of the test split."""
    message = work(job, hosting, runtime)
    result = TestEndpointResult.model_validate_json((job.output / "result.json").read_text())
    truth = dict(zip(run.splits["test"]["Id"], run.splits["test"]["SalePrice"], strict=True))

    assert (result.endpoint_name, result.endpoint_config_name) == (ENDPOINT, CONFIG)
    assert result.test.rows == 60
    assert result.test.r2 > 0.7
    assert result.largest_relative_difference == 0
    assert result.latency.requests > 20
    assert 0 < result.latency.p50_ms <= result.latency.p99_ms
    assert 3 <= len(result.examples) <= 10
    assert all(example.actual == float(truth[example.key]) for example in result.examples)
    assert "60 test rows" in message


def test_both_content_types_are_used(job, hosting, runtime):
    """The whole split goes as CSV, single rows as JSON."""
    work(job, hosting, runtime)

    assert set(runtime.types) == {"text/csv", "application/json"}


def test_summary_tells_a_person(job, hosting, runtime):
    """The summary has errors and examples."""
    work(job, hosting, runtime)
    text = (job.output / "summary.md").read_text()

    assert "RMSE" in text
    assert ENDPOINT in text
    assert "| 2-0 |" in text


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (None, "no endpoint"),
        (EndpointState("InService", "another"), "with configuration another, expected"),
        (EndpointState("Updating", CONFIG), "is Updating"),
        (EndpointState("Failed", CONFIG, "no capacity"), "no capacity"),
    ],
)
def test_wrong_endpoint_fails_with_its_state(job, hosting, runtime, state, said):
    """An endpoint that is not what was deployed is not tested, and the error says what it is."""
    hosting.endpoints = {ENDPOINT: state} if state else {}

    with pytest.raises(EndpointError, match=said):
        work(job, hosting, runtime)
    assert not (job.output / "result.json").exists()


def test_another_models_answers_are_found_out(job, hosting, runtime):
    """One prediction that is a hundred-thousandth off is another model's."""
    runtime.factor = 1 + 1e-5

    with pytest.raises(EndpointError, match=r"1 of 60 test rows differ, most of all row 2-0"):
        work(job, hosting, runtime)


@pytest.mark.parametrize("body", [b"", b"1\n2\n", b"hello", b"\xff", b'{"predictions": []}'])
def test_nonsense_answers_are_found_out(job, hosting, runtime, body):
    """Answers that are no list of one number per row end the job with a reason."""
    runtime.body = body

    with pytest.raises(EndpointError):
        work(job, hosting, runtime)


def test_refused_request_is_the_reason(job, hosting, make_run):
    """What the container answers with an error becomes the job's reason."""
    runtime = FakeRuntime(make_run().artefact())
    runtime.invoke = lambda *_: (_ for _ in ()).throw(EndpointError("The container answered 400: columns are missing"))

    assert runner.run(lambda j: work(j, hosting, runtime), job) == 1
    assert "columns are missing" in (job.root / "output/failure").read_text()


def test_artefact_of_another_run_is_refused(job, hosting, runtime):
    """The endpoint is not compared with a model that is not this run's."""
    environ = {**job.environ, "TREERING_RUN_ID": "20250101-060000-0a1b2c3d"}

    with pytest.raises(InvalidDataError, match="of run 20240101"):
        work(Job(job.root, environ), hosting, runtime)


def test_archive_that_is_none_is_refused(job, hosting, runtime):
    """A broken model.tar.gz is named."""
    (job.input("model") / "model.tar.gz").write_bytes(b"no archive")

    with pytest.raises(InvalidDataError, match=r"model\.tar\.gz"):
        work(job, hosting, runtime)


def under_load(job, **settings):
    """The job with a load test."""
    return Job(job.root, {**job.environ, "LOAD_TEST_SECONDS": "0.3", **settings})


def test_load_is_bounded_and_reported(job, hosting, runtime):
    """The report holds rate, latencies and errors; the test ends by itself."""
    message = work(under_load(job), hosting, runtime)
    load = TestEndpointResult.model_validate_json((job.output / "result.json").read_text()).load

    assert load is not None
    assert load.errors == 0
    assert load.requests > 3
    assert load.p99_ms >= load.p50_ms > 0
    assert load.concurrency == 3
    assert "requests a second under load" in message
    assert "requests a second" in (job.output / "summary.md").read_text()


def test_an_endpoint_that_fails_under_load_fails_the_test(job, hosting, runtime, monkeypatch):
    """Nothing else may be wrong with it."""
    answers = runtime.invoke
    calls = []

    def fail_when_busy(*arguments):
        calls.append(1)
        if len(calls) > 75:
            raise EndpointError("busy")
        return answers(*arguments)

    monkeypatch.setattr(runtime, "invoke", fail_when_busy)
    with pytest.raises(EndpointError, match="under a load of 3 at a time"):
        work(under_load(job), hosting, runtime)


def test_a_slow_endpoint_fails_the_test(job, hosting, runtime):
    """With the limit and the parameter that sets it."""
    with pytest.raises(EndpointError, match="EndpointLatencyThresholdMilliseconds"):
        work(under_load(job, LOAD_TEST_MAX_P99_MILLISECONDS="0.000001"), hosting, runtime)
