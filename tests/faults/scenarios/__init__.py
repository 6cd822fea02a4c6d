"""All scenarios, in the order in which they are told of."""

from tests.faults.scenario import Scenario
from tests.faults.scenarios import (
    cloud,
    csv_content,
    data_source,
    endpoint,
    events,
    functions,
    jobs,
    services,
    settings,
    waits,
)

ALL: tuple[Scenario, ...] = (
    *data_source.SCENARIOS,
    *csv_content.SCENARIOS,
    *settings.SCENARIOS,
    *events.SCENARIOS,
    *services.SCENARIOS,
    *functions.SCENARIOS,
    *jobs.SCENARIOS,
    *endpoint.SCENARIOS,
    *waits.SCENARIOS,
    *cloud.SCENARIOS,
)
