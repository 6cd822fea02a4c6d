"""A shadow variant: it gets copies of requests, and nobody waits for what it answers.

API reference, CreateEndpointConfig, ShadowProductionVariants; developer guide, "Testing models with shadow variants"
(https://docs.aws.amazon.com/sagemaker/latest/dg/model-shadow-deployment.html).
"""

import random
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from local_cloud.sagemaker.data_capture import DataCapture
from local_cloud.sagemaker.environment import SageMakerEnvironment
from local_cloud.sagemaker.invocation import Invocation, ask
from local_cloud.sagemaker.serving import ModelServer

_AT_ONCE = 4
_MOST_WAITING = 64  # a shadow that is slower than that misses copies: nobody waits for it


class Shadow:
    """Sends copies of requests to a server, on threads of its own."""

    def __init__(self, cloud: SageMakerEnvironment, server: ModelServer, capture: DataCapture | None) -> None:
        self._cloud, self.server, self._capture = cloud, server, capture
        self._room = threading.Semaphore(_MOST_WAITING)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=f"shadow {server.name}")
        self._closed = False

    def send(self, body: bytes, headers: Mapping[str, str], share: float, instances: int) -> None:
        """Sends a copy of a request if its turn comes up (`share` of all) and there is room; returns at once."""
        if self._closed or random.random() >= share or not self._room.acquire(blocking=False):  # noqa: S311
            return
        try:
            self._threads.submit(self._ask, body, headers, instances)
        except RuntimeError:  # closed meanwhile
            self._room.release()

    def close(self) -> None:
        """Sends no more copies."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, body: bytes, headers: Mapping[str, str], instances: int) -> None:
        try:
            done: Invocation = ask(self.server, body, headers)
            done.measure(self._cloud, 0.0, instances)
            if self._capture is not None and done.answer is not None:
                self._capture.note(self.server, body, headers, done.answer)
        finally:
            self._room.release()
