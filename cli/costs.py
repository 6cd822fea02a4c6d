"""What the deployed application would cost, item by item: from the template, its parameters and a dated price file.

Pure arithmetic: hours times instances times price. A week has 168 hours, a month 730 (8,760 hours / 12, as AWS counts).
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from cli.errors import CommandError
from treering.steps.deployment import Guardrails

PRICES = Path(__file__).parent / "prices.toml"
WEEK_HOURS, MONTH_HOURS = 168.0, 730.0
WEEKS_A_MONTH = MONTH_HOURS / WEEK_HOURS
# Lambda, "Configure Lambda function memory" and "Lambda quotas": MB of one vCPU, of which a function's share is its
# memory's; seconds a function may run
LAMBDA_PROCESSOR, LAMBDA_SECONDS = 1769.0, 900.0


@dataclass(frozen=True)
class Item:
    """One thing that costs money: in a week with its run, and in a month without any run. USD."""

    name: str
    explained: str
    week: float
    idle_month: float


@dataclass(frozen=True)
class Prices:
    """The price file."""

    as_of: date
    region: str
    uncertainty: float
    instance_hour: Mapping[str, float]
    month: Mapping[str, float]
    use: Mapping[str, float]
    assumed: Mapping[str, float]
    growth: Mapping[str, float]
    vcpus: Mapping[str, int]

    @classmethod
    def read(cls, path: Path = PRICES) -> "Prices":
        """Read the file. Raises CommandError that says what is wrong with it."""
        try:
            return cls(**tomllib.loads(path.read_text("utf-8")))
        except (OSError, tomllib.TOMLDecodeError, TypeError) as error:
            raise CommandError(f"The price file {path} cannot be used: {error}") from error

    def of(self, instance_type: str) -> float:
        """Price of an hour. Raises CommandError for a type that the file does not know."""
        try:
            return self.instance_hour[instance_type]
        except KeyError:
            raise CommandError(
                f"The price file knows no price of {instance_type}; it knows {', '.join(sorted(self.instance_hour))}.",
                hint=f"Look it up and add it to {PRICES.name}, or give another file with --prices.",
            ) from None


@dataclass(frozen=True)
class Work:
    """Seconds that a run's work takes on data of some number of rows, beyond what a run on a few takes anyway."""

    ingest: float = 0.0
    preprocess: float = 0.0
    train: float = 0.0
    evaluate: float = 0.0

    @classmethod
    def of(cls, rows: int | None, parameters: Mapping[str, str], prices: Prices) -> "Work":
        """By the price file's formulas; none where no number of rows is given.

        Raises CommandError for an instance type whose vCPUs the price file does not know.
        """
        if rows is None:
            return cls()
        growth, train = prices.growth, parameters["TrainInstanceType"]
        if train not in prices.vcpus:
            raise CommandError(
                f"The price file knows no vCPUs of {train}; it knows those of {', '.join(sorted(prices.vcpus))}.",
                hint=f"Look them up and add them to {PRICES.name}, or give another file with --prices.",
            )
        share = min(1.0, float(parameters["IngestMemoryMegabytes"]) / LAMBDA_PROCESSOR)  # it works on one vCPU
        return cls(
            ingest=growth["ingest_row"] * rows / share,
            preprocess=growth["preprocess_row"] * rows,
            train=growth["train_row_log2"] * rows * math.log2(max(rows, 2)) / prices.vcpus[train],
            evaluate=growth["evaluate_row"] * rows,
        )

    def problems(self, parameters: Mapping[str, str]) -> list[str]:
        """What would not end within its time limit."""
        longest = float(parameters["JobMaxRuntimeInSeconds"])
        limits = {
            "ingest": (self.ingest, LAMBDA_SECONDS, "a Lambda function may run"),
            "preprocess": (self.preprocess, longest, "JobMaxRuntimeInSeconds allows"),
            "train": (self.train, longest, "JobMaxRuntimeInSeconds allows"),
            "evaluate": (self.evaluate, longest, "JobMaxRuntimeInSeconds allows"),
        }
        return [
            f"{name} would take some {took:,.0f} s, longer than the {limit:,.0f} s that {whose}."
            for name, (took, limit, whose) in limits.items()
            if took > limit
        ]


def items(
    template: Mapping[str, Any], parameters: Mapping[str, str], prices: Prices, rows: int | None = None
) -> list[Item]:
    """All that costs money, the dearest in a week first. `parameters` are complete: defaults and what was given.

    `rows` of the labelled file make the jobs longer; without, it is some thousands.
    """
    work = Work.of(rows, parameters, prices)
    found = [*_endpoints(parameters, prices), *_jobs(parameters, prices, work), *_standing(template, prices)]
    return sorted(found, key=lambda item: (-item.week, item.name))


def _endpoints(parameters: Mapping[str, str], prices: Prices) -> list[Item]:
    kind, count = parameters["EndpointInstanceType"], int(parameters["EndpointInstanceCount"])
    hour = prices.of(kind)
    production = Item(
        "endpoint",
        f"{count} {kind} at {hour:g} an hour, always on",
        hour * count * WEEK_HOURS,
        hour * count * MONTH_HOURS,
    )
    bake = _bake_hours(parameters)
    green = Item(
        "blue/green update",
        f"a second fleet of {count} {kind} for {bake * 60:.0f} minutes",
        hour * count * bake,
        0.0,
    )
    if parameters["KeepStagingEndpoint"] == "true":
        staging = Item("staging endpoint", f"1 {kind}, kept", hour * WEEK_HOURS, hour * MONTH_HOURS)
    else:
        hours = 2 * prices.assumed["job_minutes"] / 60 + bake + prices.assumed["job_minutes"] / 60
        staging = Item("staging endpoint", f"1 {kind} for {hours * 60:.0f} minutes, then removed", hour * hours, 0.0)
    return [production, green, staging]


def _bake_hours(parameters: Mapping[str, str]) -> float:
    """How long two fleets run beside each other: start, waits between steps, wait before the old one ends."""
    update = Guardrails(
        shifting=parameters["TrafficShifting"],
        step_percent=int(parameters["TrafficStepPercent"]),
        wait_seconds=int(parameters["TrafficWaitSeconds"]),
        alarms=(),
        instances=int(parameters["EndpointInstanceCount"]),
        start_seconds=300,
    )
    return (update.start_seconds + update.bake_seconds) / 3600


def _jobs(parameters: Mapping[str, str], prices: Prices, work: Work) -> list[Item]:
    hours = prices.assumed["job_minutes"] / 60
    kind, train = parameters["ProcessingInstanceType"], parameters["TrainInstanceType"]
    volume = float(parameters["JobVolumeSizeInGB"]) * prices.use["volume_gigabyte_hour"]
    names = ("preprocess", "evaluate", "deploy_endpoint twice", "test_endpoint twice")
    waiting = _bake_hours(parameters)  # deploy_endpoint waits for the update to production
    processing = 6 * hours + waiting + (work.preprocess + work.evaluate) / 3600
    training, what = hours + work.train / 3600, "train"
    if parameters["TuneModel"] == "true":
        training, what = hours + float(parameters["TuneMaxSeconds"]) / 3600, "tune"
    return [
        Item(
            "processing jobs",
            f"{', '.join(names)} on {kind} at {prices.of(kind):g}, {processing * 60:.0f} minutes in all",
            processing * (prices.of(kind) + volume),
            0.0,
        ),
        Item(
            "training job",
            f"{what} on {train} at {prices.of(train):g}, {training * 60:.0f} minutes",
            training * (prices.of(train) + volume),
            0.0,
        ),
        Item(
            "functions, states, logs",
            "Lambda, Step Functions, CloudWatch Logs of one run",
            (prices.assumed["ingest_seconds"] + work.ingest)
            * float(parameters["IngestMemoryMegabytes"])
            / 1024
            * prices.use["lambda_gigabyte_second"]
            + prices.assumed["transitions"] * prices.use["state_transition"]
            + prices.assumed["log_megabytes"] / 1024 * prices.use["log_gigabyte"],
            0.0,
        ),
    ]


def _standing(template: Mapping[str, Any], prices: Prices) -> list[Item]:
    kinds = [resource.get("Type") for resource in template["Resources"].values()]
    alarms, secrets = kinds.count("AWS::CloudWatch::Alarm"), kinds.count("AWS::SecretsManager::Secret")
    # what half a year of weekly runs leaves, as the default retention keeps it
    gigabytes = 26 * (prices.assumed["run_megabytes"] + prices.assumed["model_megabytes"]) / 1024
    stored = gigabytes * prices.month["storage_gigabyte"]
    months = {
        "alarms": (f"{alarms} at {prices.month['alarm']:g} a month", alarms * prices.month["alarm"]),
        "secret": (f"{secrets} at {prices.month['secret']:g} a month", secrets * prices.month["secret"]),
        "bucket": (f"{gigabytes:.1f} GB, half a year of runs", stored),
        "images": (
            f"{prices.assumed['image_gigabytes']:g} GB in ECR",
            prices.assumed["image_gigabytes"] * prices.month["image_gigabyte"],
        ),
    }
    return [Item(name, explained, month / WEEKS_A_MONTH, month) for name, (explained, month) in months.items()]
