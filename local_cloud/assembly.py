"""Puts the local cloud's parts into the emulator. Import it only after ``emulator.prepare``."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import threading
from collections.abc import Iterable
from pathlib import Path

from local_cloud import async_invocations, emulator
from local_cloud.alarms import Alarms
from local_cloud.async_invocations import AsyncInvocations, Waits
from local_cloud.clock import Clock
from local_cloud.event_targets import EventTargets
from local_cloud.front_door import Receive, Scope, Send
from local_cloud.iam.guards import Handler, Response
from local_cloud.iam.install import install as install_iam
from local_cloud.once import Once
from local_cloud.schedules import Scheduler
from local_cloud.seams import CLOUDFORMATION, SeamsBrokenError, check_seams
from local_cloud.services import Place, Services, late_handler

_logger = logging.getLogger(__name__)


class Assembly:
    """All parts of one local cloud, joined."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, endpoint: str, state: Path, clock: Clock, *, retry_seconds: float
    ) -> None:
        self._app = emulator.start(loop)
        check_seams(but_not=CLOUDFORMATION)
        self._persistence = emulator.Persistence(self._app)
        self._services = Services(Place(endpoint, state))
        self._invocations = AsyncInvocations(async_invocations.run_function, Waits(error=retry_seconds))
        self._targets = EventTargets(self._invocations.submit, self._services.start_execution, retry_seconds)
        self._alarms = Alarms()
        self._cloudformation = Once(self._make_cloudformation)
        self.scheduler = Scheduler(clock, self._targets.deliver)
        install_iam()
        handlers = self._app.SERVICE_HANDLERS
        self._services.install(handlers)
        _refuse_others(handlers, self._app.SERVICE_REGISTRY)
        handlers["cloudformation"] = late_handler(self._cloudformation, lambda handler: handler)
        async_invocations.install(self._invocations)
        self._targets.install()
        self._alarms.install()

    async def aws(self, scope: Scope, receive: Receive, send: Send) -> None:
        """AWS's API, as an ASGI application."""
        self._persistence.note_change()
        await self._app.app(scope, receive, send)

    def start(self, *, save: bool) -> None:
        """Start what runs by itself; ``save`` keeps the resources on disk all the time, not only at the end."""
        self.scheduler.start()
        self._alarms.start()
        if save:
            self._persistence.start()
        threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()

    def close(self) -> None:
        """Stop everything, in an order in which nothing new begins, and save the resources."""
        self.scheduler.close()
        self._targets.close()
        self._invocations.close()
        self._alarms.close()
        self._services.close()
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

    def _make_cloudformation(self) -> object:
        from local_cloud.cloudformation.install import install

        check_seams(below=CLOUDFORMATION)
        install(self._services.step_functions)
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
