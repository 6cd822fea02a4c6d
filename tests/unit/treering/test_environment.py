"""A program's environment is checked as a whole."""

import pytest
from pydantic import BaseModel, Field

from treering.environment import read_environment
from treering.errors import ConfigurationError


class Example(BaseModel):
    """Three variables."""

    bucket: str = Field(min_length=1)
    retries: int
    loud: bool


def test_variables_are_read_by_their_names_in_capitals() -> None:
    """Text becomes the field's type; other variables do not matter."""
    environment = read_environment(Example, {"BUCKET": "b", "RETRIES": "3", "LOUD": "false", "PATH": "/bin"})

    assert environment == Example(bucket="b", retries=3, loud=False)


def test_all_that_is_missing_or_wrong_is_in_one_message() -> None:
    """Names of variables, reasons, and where to set them."""
    with pytest.raises(ConfigurationError) as caught:
        read_environment(Example, {"BUCKET": "", "LOUD": "perhaps"})

    assert str(caught.value) == (
        "Environment variables are missing: RETRIES. Environment variables are wrong: "
        "BUCKET (String should have at least 1 character), LOUD (Input should be a valid boolean, unable to interpret "
        "input). Set them where this program is defined, in template.yaml."
    )
