"""What a week and an idle month cost, from the template and a price file."""

import argparse
import json
from pathlib import Path

import pytest

from cli import costs
from cli.commands import cost
from cli.errors import CommandError, UsageError


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command prints."""
    parser = argparse.ArgumentParser()
    cost.add_arguments(parser)
    cost.execute(parser.parse_args(arguments))
    return capsys.readouterr().out


def report(*arguments: str, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, float]]:
    """Its JSON: item by item."""
    found = json.loads(run(*arguments, "--json", capsys=capsys))
    assert found["week"] == pytest.approx(sum(item["week"] for item in found["items"]), abs=0.001)
    return {item["name"]: item for item in found["items"]} | {"all": found}


def test_the_endpoint_is_hours_times_price(capsys: pytest.CaptureFixture[str]) -> None:
    """168 hours a week, 730 a month; an idle month has no run."""
    prices = costs.Prices.read()
    found = report(capsys=capsys)

    assert found["endpoint"]["week"] == pytest.approx(168 * prices.of("ml.t2.medium"))
    assert found["endpoint"]["idle_month"] == pytest.approx(730 * prices.of("ml.t2.medium"))
    assert found["processing jobs"]["idle_month"] == found["training job"]["idle_month"] == 0


def test_every_parameter_that_costs_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """Type and number of instances, a staging endpoint that is kept, a search, the kind of traffic shifting."""
    plain = report(capsys=capsys)

    def changed(name: str, item: str, *more: str) -> float:
        pairs = [argument for pair in (name, *more) for argument in ("--parameter", pair)]
        return report(*pairs, capsys=capsys)[item]["week"] - plain[item]["week"]

    assert changed("EndpointInstanceCount=2", "endpoint") == pytest.approx(plain["endpoint"]["week"])
    assert changed("EndpointInstanceType=ml.m5.large", "endpoint") > 5
    assert changed("KeepStagingEndpoint=true", "staging endpoint") > 5
    assert changed("TuneModel=true", "training job", "TuneMaxSeconds=3600") > 0.1
    linear = ("EndpointInstanceCount=10", "TrafficStepPercent=10", "TrafficShifting=LINEAR")
    at_once = changed("EndpointInstanceCount=10", "blue/green update")
    assert changed(*linear[:1], "blue/green update", *linear[1:]) > 5 * at_once > 0


def test_more_rows_make_the_jobs_longer_and_dearer(capsys: pytest.CaptureFixture[str]) -> None:
    """Ingest, preprocess and evaluate by the row, train by n log n on all vCPUs; the endpoint costs the same."""
    few, more, most = (report("--rows", str(rows), capsys=capsys) for rows in (3000, 300_000, 3_000_000))
    growth = costs.Prices.read().growth
    hour = costs.Prices.read().of("ml.t3.medium") + 10 * costs.Prices.read().use["volume_gigabyte_hour"]

    for name in ("processing jobs", "training job", "functions, states, logs"):
        assert few[name]["week"] < more[name]["week"] < most[name]["week"]
    assert few["endpoint"] == most["endpoint"]
    seconds = (growth["preprocess_row"] + growth["evaluate_row"]) * 2_700_000
    grown = most["processing jobs"]["week"] - more["processing jobs"]["week"]
    assert grown == pytest.approx(seconds / 3600 * hour, abs=2e-4)


def test_what_would_not_end_in_time_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A Lambda function has 900 seconds; a job what the template allows."""
    text = run("--rows", "100000000", "--parameter", "JobMaxRuntimeInSeconds=3600", capsys=capsys)

    assert "ingest would take some" in text
    assert "longer than the 900 s that a Lambda function may run" in text
    assert "longer than the 3,600 s that JobMaxRuntimeInSeconds allows" in text
    assert "would take" not in run("--rows", "3000", capsys=capsys)


@pytest.mark.parametrize("rows", ["0", "-1", "many", "1e6", "9" * 12])
def test_a_number_of_rows_that_is_none_is_refused(rows: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message says what is expected."""
    with pytest.raises(SystemExit):
        run("--rows", rows, capsys=capsys)

    assert "is not a whole number from 1 to 1,000,000,000" in capsys.readouterr().err


def test_vcpus_that_are_not_known_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Train's time depends on them."""
    with pytest.raises(CommandError, match=r"no vCPUs of ml\.t2\.medium"):
        run("--rows", "3000", "--parameter", "TrainInstanceType=ml.t2.medium", capsys=capsys)
    assert "ml.t2.medium" in run("--parameter", "TrainInstanceType=ml.t2.medium", capsys=capsys)


def test_an_environment_s_parameters_are_those_of_samconfig(capsys: pytest.CaptureFixture[str]) -> None:
    """Production has two larger instances."""
    found = report("--environment", "prod", capsys=capsys)

    assert "2 ml.m5.large" in found["endpoint"]["explained"]


def test_the_report_names_day_region_and_uncertainty(capsys: pytest.CaptureFixture[str]) -> None:
    """A price is worth nothing without them."""
    text = run(capsys=capsys)

    assert "us-east-1 as of 2026-11-21, to within 10%" in text
    assert "together" in text


@pytest.mark.parametrize(
    "pair", ["Nothing=1", "EndpointInstanceCount=many", "TrafficShifting=SLOWLY", "no equals sign"]
)
def test_a_wrong_parameter_is_refused(pair: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With what would be right."""
    with pytest.raises(UsageError, match="expected"):
        run("--parameter", pair, capsys=capsys)


def test_an_unknown_instance_type_says_where_its_price_goes(capsys: pytest.CaptureFixture[str]) -> None:
    """Instead of a wrong sum."""
    with pytest.raises(CommandError, match="knows no price") as error:
        run("--parameter", "TrainInstanceType=ml.p4d.24xlarge", capsys=capsys)

    assert "prices.toml" in (error.value.hint or "")


def test_a_price_file_that_is_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Broken, or with a part missing."""
    (tmp_path / "p.toml").write_text("region = 'x'")
    with pytest.raises(CommandError, match="cannot be used"):
        run("--prices", str(tmp_path / "p.toml"), capsys=capsys)


def test_every_default_of_the_template_has_a_price() -> None:
    """The command works before anything is chosen."""
    from local_cloud.template_file import read_template

    parameters = read_template(costs.PRICES.parents[1] / "template.yaml")["Parameters"]
    types = [values["Default"] for name, values in parameters.items() if name.endswith("InstanceType")]

    assert types
    assert all(costs.Prices.read().of(kind) > 0 for kind in types)
