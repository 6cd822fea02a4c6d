"""A use case that cannot work is refused when it is read."""

import shutil
from pathlib import Path

import pytest

from treering import use_case
from treering.errors import ConfigurationError


def test_a_download_that_no_function_could_hold_is_refused(tmp_path: Path) -> None:
    """Ten gigabytes: the message names the setting and the limit."""
    path = tmp_path / "house_prices.toml"
    shutil.copy(use_case.USE_CASES / path.name, path)
    path.write_text(path.read_text().replace("maximum_megabytes = 1000", "maximum_megabytes = 10000"))

    with pytest.raises(ConfigurationError, match=r"maximum_megabytes\n.* less than or equal to 5120"):
        use_case.load("house_prices", tmp_path)
