"""Log lines as a person reads them."""

import json

from cli import logs


def test_a_json_line_is_read_as_level_and_message() -> None:
    """Of a structured line a person sees level, message and the error, not the rest."""
    line = json.dumps({"level": "ERROR", "message": "could not", "service": "x", "exception": "Traceback\nKeyError: 1"})

    assert logs.readable(line) == "ERROR could not KeyError: 1"
    assert logs.readable("plain words") == "plain words"
    assert logs.readable('{"no": "log line"}') == '{"no": "log line"}'


def test_embedded_metrics_are_read_as_their_values() -> None:
    """Of CloudWatch's embedded metric format a person sees names and values."""
    directive = {"Namespace": "N", "Dimensions": [["service"]], "Metrics": [{"Name": "Rows", "Unit": "Count"}]}
    line = json.dumps({"_aws": {"Timestamp": 1, "CloudWatchMetrics": [directive]}, "service": "x", "Rows": [3.0]})

    assert logs.readable(line) == "METRICS Rows [3.0]"
    assert logs.said(line) is None


def test_errors_are_told_from_other_lines() -> None:
    """Structured errors and the runtime's own words both count."""
    assert logs.is_error(json.dumps({"level": "ERROR", "message": "m"}))
    assert logs.is_error("[ERROR] CredentialsError: refused")
    assert logs.is_error("2026-11-23T06:00:00Z id Task timed out after 3.00 seconds")

    assert not logs.is_error(json.dumps({"level": "INFO", "message": "m"}))
    assert not logs.is_error("REPORT RequestId: 1")
