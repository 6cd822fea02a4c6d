from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.local_cloud.step_functions.cloud import Cloud
from tests.local_cloud.step_functions.front_door import FrontDoor


@pytest.fixture
def door() -> Iterator[FrontDoor]:
    """Give the small AWS."""
    door = FrontDoor()
    yield door
    door.close()


@pytest.fixture
def cloud(door: FrontDoor) -> Iterator[Cloud]:
    """Give Step Functions in front of it."""
    cloud = Cloud(door)
    yield cloud
    cloud.service.close()
