"""`treering predict`: ask the live endpoint about rows of a CSV file."""

import argparse
import csv
import json
import sys
from pathlib import Path

from botocore.exceptions import ClientError

from cli import experiments, options
from cli.application import Application, application
from cli.errors import CommandError
from cli.rows import Rows, parse
from treering import use_case
from treering.steps.assignment import variant_for

SUMMARY = "ask the live endpoint for predictions of the rows in a CSV file"
EPILOG = """\
With --caller, while an experiment is on, the same caller is always answered by the same variant.

The file has a header with the competition's columns, as its test.csv has; a key column comes back with the predictions.
Needs `treering up` and a finished `treering run`.

examples:
  treering predict test.csv > predictions.csv
  head -3 test.csv | treering predict -
  treering predict test.csv --json
  treering predict test.csv --caller customer-17
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("file", metavar="FILE.csv|-", help="rows to predict; - reads them from stdin")
    parser.add_argument(
        "--caller", metavar="KEY", help="who asks; in an A/B test, decides which variant answers, always the same"
    )
    options.add_json(parser, "the predictions")
    options.add_state(parser)


def execute(given: argparse.Namespace) -> int:
    """Print the predictions as CSV or JSON and return the exit code."""
    name = "stdin" if given.file == "-" else given.file
    text = _read(given.file)
    found = application(given.state)
    case = use_case.load(found.stack.use_case)
    rows = parse(text, name, case)
    keys = rows.column(case.columns.key)
    predictions = predict(found, rows, given.caller)
    if given.json:
        content = [
            ({case.columns.key: keys[index]} if keys else {}) | {case.target.column: value}
            for index, value in enumerate(predictions)
        ]
        print(json.dumps(content, indent=2))
        return 0
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*([case.columns.key] if keys else []), case.target.column])
    for index, value in enumerate(predictions):
        writer.writerow([*([keys[index]] if keys else []), f"{value:.2f}"])
    return 0


def predict(found: Application, rows: Rows, caller: str | None = None) -> list[float]:
    """One prediction a row, in order. Raises CommandError with the endpoint's own words where it refuses."""
    client = found.cloud.client("sagemaker-runtime")
    target = {}
    if caller is not None and len(weights := experiments.weights(found)) > 1:
        target["TargetVariant"] = variant_for(caller, weights)
    predictions: list[float] = []
    for count, body in rows.chunks():
        try:
            answer = client.invoke_endpoint(
                EndpointName=found.stack.endpoint,
                ContentType="text/csv",
                Accept="text/csv",
                Body=body.encode(),
                **target,
            )
        except ClientError as error:
            raise _refused(error, found.stack.endpoint) from error
        values = [float(line) for line in answer["Body"].read().decode().split()]
        if len(values) != count:
            raise CommandError(f"The endpoint answered {len(values)} predictions for {count} rows.")
        predictions += values
    return predictions


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{file} is not UTF-8 text: {error}.") from error


def _refused(error: ClientError, endpoint: str) -> CommandError:
    code = error.response["Error"]["Code"]
    message = str(error.response.get("OriginalMessage") or error.response["Error"]["Message"])
    if code == "ModelError":  # what the container answered, here its 400 with what and where
        return CommandError(f"The endpoint {endpoint} refused the rows: {_words(message)}")
    return CommandError(
        f"The endpoint {endpoint} cannot be asked: {message}",
        hint="It answers once a run has finished: `treering run`, then try again; `treering status` shows it.",
    )


def _words(answer: str) -> str:
    """The sentence in the container's answer, which is JSON with `error`."""
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, KeyError, TypeError):
        return answer
