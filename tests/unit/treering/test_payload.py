"""The endpoint's content types, where the container's tests do not reach."""

import pytest

from treering.steps.payload import NotAcceptableError, choose_answer, format_answer, parse_answer


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV; header=absent", "text/csv"),
        ("text/*", "text/csv"),
        ("application/*", "application/json"),
        ("application/json;q=0.2, text/csv", "text/csv"),
        ("text/html, */*;q=0.1", "application/json"),
        ("text/csv;q=oops, application/json", "application/json"),
    ],
)
def test_most_preferred_supported_type_is_chosen(accept, chosen):
    """Quality values are honoured, then the caller's order."""
    assert choose_answer(accept) == chosen


@pytest.mark.parametrize("accept", ["image/png", "text/csv;q=0"])
def test_nothing_acceptable(accept):
    """A refusal names what could be written."""
    with pytest.raises(NotAcceptableError, match="text/csv"):
        choose_answer(accept)


@pytest.mark.parametrize("content_type", ["text/csv", "application/json"])
def test_predictions_survive_the_way(content_type):
    """What is written is read back to the last bit."""
    values = [0.1 + 0.2, 1e300, 123456.789012345678]

    assert parse_answer(format_answer(values, content_type), content_type) == values


@pytest.mark.parametrize("body", [b"[1]", b"3", b'{"predictions": 3}', b"{"])
def test_other_answers_are_refused(body):
    """What is no list of predictions is none."""
    with pytest.raises((ValueError, TypeError)):
        parse_answer(body, "application/json")
