"""What CloudWatch has of one variant of an endpoint: requests, errors, latency."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

_LONGEST_PERIOD = 86_400  # seconds; GetMetricStatistics, API reference, Period


class VariantMetrics(BaseModel):
    """Of one variant. Latency is the model's, without SageMaker's own; over several days, the worst day's."""

    requests: int
    client_errors: int  # 4xx
    server_errors: int  # 5xx
    p50_ms: float | None
    p99_ms: float | None


def read(cloudwatch: Any, endpoint: str, variant: str, age: timedelta) -> VariantMetrics:
    """What was measured within the last `age`.

    https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html: Invocations, Invocation4XXErrors,
    Invocation5XXErrors, and ModelLatency in microseconds, by EndpointName and VariantName.
    """
    end = datetime.now(UTC) + timedelta(minutes=1)
    minutes = math.ceil(age.total_seconds() / 60) + 2  # periods are whole minutes
    start = end.replace(second=0, microsecond=0) - timedelta(minutes=minutes)
    window = {
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}],
        "StartTime": start,
        "EndTime": end,
        "Period": min(_LONGEST_PERIOD, (minutes + 1) * 60),
    }

    def total(metric: str) -> int:
        answer = cloudwatch.get_metric_statistics(MetricName=metric, Statistics=["Sum"], **window)
        return round(sum(float(point["Sum"]) for point in answer["Datapoints"]))

    latency = cloudwatch.get_metric_statistics(MetricName="ModelLatency", ExtendedStatistics=["p50", "p99"], **window)

    def worst(percentile: str) -> float | None:
        found = [float(point["ExtendedStatistics"][percentile]) for point in latency["Datapoints"]]
        return max(found) / 1000 if found else None

    return VariantMetrics(
        requests=total("Invocations"),
        client_errors=total("Invocation4XXErrors"),
        server_errors=total("Invocation5XXErrors"),
        p50_ms=worst("p50"),
        p99_ms=worst("p99"),
    )
