"""The environment variables that a function finds.

Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html, "Defined runtime environment
variables".
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from local_cloud.lambda_runtime.function import Function

# "Reserved environment variables": a function's configuration cannot set these.
RESERVED = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)
# The function reaches the internet as this machine does: through its proxy, trusting its certificates.
_OF_THE_MACHINE = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
# 127.0.0.2 is where the local data source's storage answers; not every client reads 127.0.0.0/8.
_LOOPBACK = ("127.0.0.1", "127.0.0.2", "localhost")
# Lambda's user; its home is not there, so that nothing of the developer's own configuration is seen.
_HOME = "/home/sbx_user1051"


def environment_variables(
    function: Function,
    image: Mapping[str, str],
    *,
    region: str,
    endpoint_url: str,
    log_stream: str,
    credentials: Mapping[str, str],
) -> dict[str, str]:
    """Return the whole environment of a function's programs; ``image`` are the variables of its image."""
    return {
        **image,
        **_network(os.environ),
        "HOME": _HOME,
        "TZ": ":UTC",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
        # Traces are not recorded, and the emulator passes no trace header on: the SDK would warn at every call.
        "AWS_XRAY_SDK_ENABLED": "false",
        **function.variables,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": function.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(function.timeout),  # for the emulator
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_ENDPOINT_URL": endpoint_url,
        **credentials,
    }


def _network(machine: Mapping[str, str]) -> dict[str, str]:
    found = {
        spelling: machine[spelling]
        for name in _OF_THE_MACHINE
        for spelling in (name, name.lower())
        if machine.get(spelling)
    }
    if any("proxy" in name.lower() for name in found):
        for name in ("NO_PROXY", "no_proxy"):
            direct = [entry for entry in found.get(name, "").split(",") if entry]
            found[name] = ",".join([*direct, *(entry for entry in _LOOPBACK if entry not in direct)])
    return found
