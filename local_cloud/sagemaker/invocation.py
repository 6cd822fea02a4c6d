"""One request to a model server and what is measured of it.

Developer guide, "Amazon SageMaker AI metrics in Amazon CloudWatch", endpoint invocation metrics
(https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from local_cloud.sagemaker.container_client import Answer
from local_cloud.sagemaker.environment import SageMakerEnvironment
from local_cloud.sagemaker.serving import ModelServer, NoAnswerError

# InvokeEndpoint, "Maximum payload size": "6 MB", each way
MAX_PAYLOAD = 6 * 1024 * 1024


@dataclass(frozen=True)
class Invocation:
    """What came back from a server after `seconds`: an answer, of whatever status, or why there is none."""

    server: ModelServer
    seconds: float
    answer: Answer | None = None
    error: str = ""

    @property
    def status(self) -> int:
        """The answer's status; 0 where there is none, as in ModelError's OriginalStatusCode."""
        return self.answer.status if self.answer is not None else 0

    def measure(self, cloud: SageMakerEnvironment, overhead_seconds: float, instances: int) -> None:
        """Counts it in the variant's metrics, and in those of the variant with this endpoint configuration.

        "CloudWatch publishes the metrics with the dimension EndpointConfigName … after the new fleet starts receiving
        traffic" ("Auto-Rollback Configuration and Monitoring"). That there is no answer counts as 5XX: ModelError calls
        it "server error (0)".
        """
        microseconds = {"ModelLatency": self.seconds * 1e6, "OverheadLatency": max(0.0, overhead_seconds) * 1e6}
        counts = {
            "Invocations": 1.0,
            "InvocationsPerInstance": 1 / max(1, instances),
            "Invocation4XXErrors": float(400 <= self.status < 500),
            "Invocation5XXErrors": float(self.status >= 500 or self.status == 0),
            "InvocationModelErrors": float(not 200 <= self.status < 300),
        }
        of_variant = (("EndpointName", self.server.endpoint_name), ("VariantName", self.server.name))
        of_fleet = (*of_variant, ("EndpointConfigName", self.server.config_name))
        cloud.measure(
            (name, unit, dimensions, value)
            for dimensions in (of_variant, of_fleet)
            for unit, values in (("Microseconds", microseconds), ("None", counts))
            for name, value in values.items()
        )


def ask(server: ModelServer, body: bytes, headers: Mapping[str, str]) -> Invocation:
    """Sends a request to a server."""
    begun = time.perf_counter()
    try:
        answer = server.invoke(body, headers)
    except NoAnswerError as error:
        return Invocation(server, time.perf_counter() - begun, error=str(error))
    seconds = time.perf_counter() - begun
    if len(answer.body) > MAX_PAYLOAD:
        return Invocation(server, seconds, error=f"The response is larger than {MAX_PAYLOAD} bytes.")
    return Invocation(server, seconds, answer)
