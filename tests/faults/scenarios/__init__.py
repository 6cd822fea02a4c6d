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

_MODULES = (data_source, csv_content, settings, events, services, functions, jobs, endpoint, waits, cloud)
_FOUND = [scenario for module in _MODULES for scenario in module.SCENARIOS]
# as the data goes, whichever module a scenario stands in
_GROUPS = (
    "data source",
    "content",
    "account",
    "events",
    "services",
    "functions",
    "jobs",
    "endpoint",
    "waits",
    "local cloud",
)
ALL: tuple[Scenario, ...] = tuple(sorted(_FOUND, key=lambda scenario: _GROUPS.index(scenario.group)))
