"""What a function finds in its environment."""

import pytest

from local_cloud.kaggle.server import API_HOST, STORAGE_HOST
from local_cloud.lambda_runtime.function import Function
from local_cloud.lambda_runtime.variables import environment_variables


def test_the_machines_proxy_is_not_asked_for_what_is_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for the local cloud nor for both hosts of the local data source; the developer's own exceptions stay."""
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "intranet")
    function = Function.of(
        {"FunctionName": "f", "FunctionArn": "arn:aws:lambda:us-east-1:0:function:f", "ImageUri": "i"}
    )

    found = environment_variables(
        function, {}, region="us-east-1", endpoint_url="http://127.0.0.1:1", log_stream="s", credentials={}
    )

    assert found["http_proxy"] == "http://proxy:3128"
    assert {"intranet", "localhost", API_HOST, STORAGE_HOST} <= set(found["no_proxy"].split(","))
    assert {API_HOST, STORAGE_HOST} <= set(found["NO_PROXY"].split(","))
