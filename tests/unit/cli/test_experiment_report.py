"""The report's one sentence, and how many requests are missing."""

from datetime import UTC, datetime, timedelta

import pytest

from cli.endpoint_metrics import VariantMetrics, read
from cli.experiment_report import ExperimentReport, VariantReport, conclude, requests_more, text
from treering.contracts import ErrorInterval


def variant(name, version, **more):
    """A variant that was asked a thousand times."""
    metrics = VariantMetrics(requests=1000, client_errors=0, server_errors=0, p50_ms=2.0, p99_ms=4.0)
    known = {"share": 0.5, "captured_requests": 1000, "captured_rows": 1000, "rows_with_truth": 200, "error": 0.12}
    given = {"metrics": metrics, "rows_learnt_from": 0, "run_id": "run", **known, **more}
    return VariantReport(variant=name, version=version, **given)


def report(estimate, low, high, *, action, rows=400, planned=300, challenger=None, **more):
    """An A/B test of version 4 against version 3."""
    interval = ErrorInterval(estimate=estimate, low=low, high=high, confidence=0.95, resamples=2000)
    given = {"kind": "challenger", "requests_more": 0, "disagreement": None, "difference": interval, **more}
    return ExperimentReport(
        experiment="treering-dev-experiment-1",
        started_at=datetime(2026, 11, 23, 6, tzinfo=UTC),
        dataset_version="0123456789abcdef",
        champion=variant("main", 3),
        challenger=challenger or variant("challenger", 4),
        rows=rows,
        planned_rows=planned,
        unreadable=0,
        unreadable_because="",
        plan={"effect": 0.05, "power": 0.8, "confidence": 0.95},
        action=action,
        sentence="",
        **given,
    )


@pytest.mark.parametrize(
    ("given", "begins", "says"),
    [
        (report(-0.01, -0.02, -0.005, action="promote"), "Stop and promote", "version 4 is lower, by -0.0100"),
        (report(0.01, 0.005, 0.02, action="drop"), "Stop and drop", "version 4 is higher, by +0.0100"),
        (report(-0.001, -0.01, 0.008, action="drop"), "Stop and drop", "not better by as much as 5%"),
        (report(-0.05, -0.07, -0.03, action="promote", planned=900), "Stop and promote", "before its planned end"),
        (
            report(-0.002, -0.01, 0.005, action="go_on", planned=900, requests_more=2500),
            "Go on, about 2,500 requests more",
            "takes about 900",
        ),
    ],
)
def test_the_sentence_says_what_to_do_and_why(given, begins, says):
    """With the difference, its interval and the rows."""
    sentence = conclude(given)

    assert sentence.startswith(begins)
    assert says in sentence
    assert f"{given.difference.low:+.4f} to {given.difference.high:+.4f}" in sentence


def test_without_known_truth_there_is_no_decision():
    """It says what is missing, and how far it is."""
    given = report(0, 0, 0, action="go_on", challenger=variant("challenger", 4, rows_with_truth=7))
    given.difference = given.planned_rows = None

    assert conclude(given).startswith("Go on: a comparison needs 30 different rows")
    assert "challenger 7." in conclude(given)


def test_a_challenger_that_fails_is_dropped_whatever_its_error():
    """Server errors beyond chance end the experiment at once."""
    failing = VariantMetrics(requests=1000, client_errors=0, server_errors=60, p50_ms=2.0, p99_ms=4.0)
    given = report(-0.01, -0.02, -0.005, action="promote", challenger=variant("challenger", 4, metrics=failing))

    assert conclude(given).startswith("Stop and drop: version 4 answered 60 of 1,000 requests with a server error")
    assert given.action == "drop"


def test_the_missing_requests_follow_from_the_rate_of_rows_with_truth():
    """400 rows came of 2,000 requests, so 500 more rows take 2,500; a shadow's copies are no requests of their own."""
    given = report(0, 0, 0, action="go_on")

    assert requests_more(given, 400, 900) == 2500
    assert requests_more(given.model_copy(update={"kind": "shadow"}), 400, 900) == 1250
    assert requests_more(given, 400, 300) == 0


def test_the_text_has_a_line_for_each_variant_and_ends_with_the_sentence():
    """Share, requests, errors, latency, rows with known truth, error."""
    given = report(-0.01, -0.02, -0.005, action="promote")
    given.sentence = conclude(given)

    lines = text(given).splitlines()

    assert [line.split()[:2] for line in lines if line.startswith(("main", "challenger"))] == [
        ["main", "3"],
        ["challenger", "4"],
    ]
    assert lines[-1] == given.sentence
    assert "50% of the traffic" in lines[0]


class CloudWatch:
    """Answers with two days."""

    def __init__(self):
        self.asked = []

    def get_metric_statistics(self, **asked):
        """Sums, or percentiles in microseconds."""
        self.asked.append(asked)
        if "Statistics" in asked:
            return {"Datapoints": [{"Sum": 3.0}, {"Sum": 4.0}]}
        days = [{"p50": 2000.0, "p99": 9000.0}, {"p50": 3000.0, "p99": 5000.0}]
        return {"Datapoints": [{"ExtendedStatistics": day} for day in days]}


@pytest.mark.parametrize(("hours", "period"), [(1, 3780), (72, 86_400)])
def test_metrics_are_those_of_one_variant_since_the_experiment_began(hours, period):
    """Counts are added up; latency is in milliseconds, of the worst day; periods are whole minutes."""
    cloudwatch = CloudWatch()
    found = read(cloudwatch, "treering-dev", "challenger", timedelta(hours=hours))

    assert (found.requests, found.p50_ms, found.p99_ms) == (7, 3.0, 9.0)
    for asked in cloudwatch.asked:
        assert asked["Period"] == period
        assert asked["EndTime"] - asked["StartTime"] >= timedelta(hours=hours)
        assert asked["Dimensions"][1] == {"Name": "VariantName", "Value": "challenger"}
