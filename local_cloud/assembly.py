"""Puts the local cloud's parts into the emulator. Import it only after ``emulator.prepare``."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import threading
from collections.abc import Iterable
from pathlib import Path

from local_cloud import async_invocations, emulator, object_writes
from local_cloud.alarms import Alarms
from local_cloud.async_invocations import AsyncInvocations, Waits
from local_cloud.clock import Clock
from local_cloud.container_credentials import ContainerCredentials
from local_cloud.event_targets import EventTargets
from local_cloud.faults import FaultPlan
from local_cloud.front_door import Receive, Scope, Send
from local_cloud.iam import report
from local_cloud.iam.guards import Handler, Response
from local_cloud.iam.install import install as install_iam
from local_cloud.metrics import Measurements, age
from local_cloud.once import IMPORTING, Once
from local_cloud.persistence import Persistence
from local_cloud.refused_values import alarms, buckets, queues, rules
from local_cloud.schedules import Scheduler
from local_cloud.seams import CLOUDFORMATION, SeamsBrokenError, check_seams
from local_cloud.services import Place, Services, late_handler
from local_cloud.spool import Spool
from local_cloud.waits import ClockWaits

_logger = logging.getLogger(__name__)


class Assembly:
    """All parts of one local cloud, joined."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        endpoint: str,
        state: Path,
        clock: Clock,
        faults: FaultPlan,
        *,
        retry_seconds: float,
    ) -> None:
        self._app = emulator.start(loop)
        check_seams(but_not=CLOUDFORMATION)
        object_writes.install(state)
        self._persistence = Persistence(self._app, state)
        self._persistence.load()
        measurements = Measurements(emulator.ACCOUNT_ID, emulator.REGION)
        self._alarms = Alarms(measurements, self._flush)
        clock.before_move(self._alarms.look)  # what was measured until then counts as of then
        clock.on_move(age)
        self.waits = ClockWaits(clock)
        self.container_credentials = ContainerCredentials(endpoint)
        place = Place(endpoint, state, self.waits, measurements, self.container_credentials, self._flush)
        self._services = Services(place, faults, retry_seconds)
        self._invocations = AsyncInvocations(
            async_invocations.run_function, Waits(error=retry_seconds), faults, self._spool(state, "functions")
        )
        self._targets = EventTargets(
            self._invocations.submit, self._services.start_execution, retry_seconds, self._spool(state, "targets")
        )
        self._cloudformation = Once(self._make_cloudformation)
        self.scheduler = Scheduler(clock, self._targets.deliver, state / "schedules.json")
        install_iam()
        self._permissions = report.Keeper(state)
        handlers = self._app.SERVICE_HANDLERS
        self._services.install(handlers)
        _refuse_others(handlers, self._app.SERVICE_REGISTRY)
        handlers["cloudformation"] = late_handler(self._cloudformation, lambda handler: handler)
        async_invocations.install(self._invocations)
        for values in (buckets, rules, alarms, queues):
            values.install()
        self._targets.install()
        self._alarms.install(self.waits.look)

    async def aws(self, scope: Scope, receive: Receive, send: Send) -> None:
        """AWS's API, as an ASGI application."""
        await self._persistence.serve(self._app.app, scope, receive, send)

    def start(self) -> None:
        """Start what runs by itself."""
        self.scheduler.start()
        self._alarms.start()
        self._permissions.start()
        self._persistence.start()
        threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()

    @staticmethod
    def permissions() -> dict[str, object]:
        """What each role was granted, what of it was used, and what was denied."""
        return report.describe()

    def _spool(self, state: Path, name: str) -> Spool:
        """Keep events on their way; the messages that they become lie in queues."""
        return Spool(state / "events" / name, flush=self._flush)

    def _flush(self) -> None:
        """Bring to the disk what tells people: messages, metrics, the states of alarms."""
        self._persistence.save(("sqs", "cloudwatch"))

    def close(self) -> None:
        """Stop everything, in an order in which nothing new begins, and save the resources."""
        self.scheduler.close()
        self._targets.close()
        self._invocations.close()
        self._alarms.close()
        self._services.close()
        self._permissions.close()
        self._persistence.close()

    def _warm_up(self) -> None:
        """Make in the background what takes long to import, so that the first request waits for nothing."""
        import samtranslator.translator.transform  # noqa: F401  CloudFormation imports it at the first SAM template

        try:
            self._cloudformation()
        except SeamsBrokenError:
            _logger.critical("the local cloud stops", exc_info=True)
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            self._services.warm_up()
            self._targets.recover()
            self._invocations.recover()
        finally:
            gc.freeze()  # what is there now stays, and need not be looked at by every collection to come
            gc.enable()

    def _make_cloudformation(self) -> object:
        with IMPORTING:
            from local_cloud.cloudformation.install import install

        check_seams(below=CLOUDFORMATION)
        install(self._services.step_functions, self._services.sagemaker)
        self._services.lambda_runtime()  # lays its checks around the provisioner of functions
        return self._app._get_module("cloudformation").handle_request


def _refuse_others(handlers: dict[str, Handler], known: Iterable[str]) -> None:
    """Let every service that is left out say so, in a way that an SDK can show."""

    def refusal(service: str) -> Handler:
        message = f"the local cloud does not have the service {service}; it has {', '.join(sorted(emulator.SERVICES))}"
        body = json.dumps({"__type": "ServiceNotSupported", "message": message, "Message": message}).encode()

        async def refuse(*_request: object) -> Response:
            return 501, {"Content-Type": "application/json", "x-amzn-errortype": "ServiceNotSupported"}, body

        return refuse

    for service in known:
        handlers.setdefault(service, refusal(service))
