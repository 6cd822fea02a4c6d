"""Either kind of credentials is read from the secret; what is missing is said with the command that stores it."""

import base64

import pytest

from treering.errors import CredentialsError
from treering.kaggle import Credentials

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:kaggle-AbCdEf"


@pytest.mark.parametrize(
    ("secret", "authorization"),
    [
        ('{"username": "ann", "key": "k1"}', "Basic " + base64.b64encode(b"ann:k1").decode()),
        ('{"api_token": "t1"}', "Bearer t1"),
        ('{"username": "ann", "key": "k1", "api_token": "t1"}', "Bearer t1"),
        ('{"username": "ann", "key": "k1", "api_token": ""}', "Basic " + base64.b64encode(b"ann:k1").decode()),
        ('{"username": " ann ", "key": "k1\\n"}', "Basic " + base64.b64encode(b"ann:k1").decode()),
    ],
)
def test_both_kinds_are_read(secret: str, authorization: str) -> None:
    """User name and key, or a token, which wins; blanks around a pasted value do not count."""
    assert Credentials.parse(secret, ARN).authorization == authorization


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        ("", "does not exist or has no value"),
        ("  ", "does not exist or has no value"),
        ("KGAT_abc", "is not JSON"),
        ('"text"', "is not a JSON object"),
        ("{}", "has no api_token, or username and key"),
        ('{"username": "", "key": "", "api_token": ""}', "has no api_token, or username and key"),
        ('{"username": "ann"}', "has no key"),
        ('{"key": "hidden"}', "has no username"),
        ('{"username": "ann", "key": 5}', "has no key"),
        ('{"api_token": "a\\r\\nX-Other: b"}', "has no api_token"),
    ],
)
def test_what_is_missing_is_named_with_the_command(secret: str, problem: str) -> None:
    """The message names secret, lack and command; it never shows a value."""
    with pytest.raises(CredentialsError) as caught:
        Credentials.parse(secret, ARN)
    message = str(caught.value)

    assert f"The secret {ARN} with Kaggle's credentials {problem}" in message
    assert f"aws secretsmanager put-secret-value --secret-id {ARN} --secret-string" in message
    assert "hidden" not in message
    assert "KGAT_abc" not in message


def test_credentials_do_not_show_in_logs() -> None:
    """Their representation has no value in it."""
    assert "k1" not in repr(Credentials("Bearer k1"))
