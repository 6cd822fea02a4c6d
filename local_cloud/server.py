"""The local cloud's process: puts its parts together, serves one port, and takes everything down with it.

In order: claim the state directory, open the port, prepare the emulator's settings, check the seams, put our parts
into the emulator, serve, publish ``cloud.json``. At the end, the other way round.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from local_cloud import container_credentials, durable_files, emulator
from local_cloud.clock import Clock, ClockMovedBackError, from_iso, to_iso
from local_cloud.faults import FaultPlan
from local_cloud.faults import control as faults_control
from local_cloud.faults.api import FaultyApi
from local_cloud.front_door import BadRequestError, FrontDoor, Route
from local_cloud.ports import ReservedPort
from local_cloud.state_directory import LOG_FILE, CloudFile, StateDirectory

_logger = logging.getLogger(__name__)
_HOST = "127.0.0.1"
_CLOSE_SECONDS = 20.0
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class ServerOptions:
    """How a local cloud is started.

    ``port`` 0 takes a free one. With ``parent_pid`` the cloud ends when that process does, even by ``kill -9``.
    ``retry_seconds`` is how long Lambda's queue waits before the first retry of a failed event (AWS: a minute).
    """

    state: Path
    port: int = 0
    parent_pid: int | None = None
    clock: datetime | None = None
    retry_seconds: float = 1.0


def run(options: ServerOptions) -> None:
    """Run a local cloud until SIGTERM, SIGINT or the end of the parent process."""
    options.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    directory = StateDirectory(options.state.resolve())
    try:
        _log_to(directory.path / LOG_FILE)
        durable_files.check(directory.path)
        listener = _listen(options.port, directory.path / "port")
        emulator.prepare(directory.path, listener.getsockname()[1])
        asyncio.run(_serve(options, directory, listener))
    finally:
        directory.release()


def _listen(port: int, kept: Path) -> socket.socket:
    """Open the port; without one given, that of the state directory's previous cloud if it is free.

    URLs of queues and of the stack's outputs hold the port, so a restarted cloud is best found where it was.
    """
    before = kept.read_text().strip() if kept.is_file() else ""
    listener = _open(port) if port else None
    if listener is None and before.isdecimal():
        with contextlib.suppress(OSError):
            listener = _open(int(before))
    if listener is None:
        reserved = ReservedPort()  # one that the kernel gives to nobody while this cloud is down
        listener = _open(reserved.number)
        reserved.release()
    kept.write_text(str(listener.getsockname()[1]))
    return listener


def _open(port: int) -> socket.socket:
    return socket.create_server((_HOST, port), backlog=512)


async def _serve(options: ServerOptions, directory: StateDirectory, listener: socket.socket) -> None:
    from local_cloud.assembly import Assembly  # imports the emulator, whose settings stand only now

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watched = _watch_parent(loop, options.parent_pid, stop)
    endpoint = f"http://{_HOST}:{listener.getsockname()[1]}"
    clock = Clock(directory.path / "clock.json")
    if options.clock is not None:
        clock.set_before_first_use(options.clock)
    faults = FaultPlan()
    assembly = Assembly(loop, endpoint, directory.path, clock, faults, retry_seconds=options.retry_seconds)
    routes = [*_routes(assembly, clock, endpoint), *faults_control.routes(faults)]
    closing = asyncio.Event()
    server = asyncio.create_task(_http(FrontDoor(FaultyApi(assembly.aws, faults), routes), listener, closing))
    assembly.start()
    directory.publish(
        CloudFile(
            endpoint=endpoint,
            region=emulator.REGION,
            account_id=emulator.ACCOUNT_ID,
            pid=os.getpid(),
            access_key_id=emulator.ADMINISTRATOR[0],
            secret_access_key=emulator.ADMINISTRATOR[1],
            started_at=to_iso(datetime.now(UTC)),
        )
    )
    _logger.info("ready at %s", endpoint)
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({server, stopped}, return_when=asyncio.FIRST_COMPLETED)
    _logger.info("stopping")
    try:  # the port answers while jobs and executions end: they still describe and stop each other
        await asyncio.wait_for(asyncio.to_thread(assembly.close), _CLOSE_SECONDS)
    except TimeoutError:
        _logger.error("not everything ended within %s seconds; what is left ends with this process", _CLOSE_SECONDS)
    closing.set()
    await server
    if watched is not None:
        os.close(watched)


async def _http(app: FrontDoor, listener: socket.socket, closing: asyncio.Event) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"fd://{listener.detach()}"]  # the server owns it now
    config.errorlog = logging.getLogger("hypercorn.error")
    config.accesslog = None
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    await serve(app, config, shutdown_trigger=closing.wait)  # type: ignore[arg-type]


def _routes(assembly: Any, clock: Clock, endpoint: str) -> list[Route]:
    async def health(_request: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"status": "ok", "endpoint": endpoint, "pid": os.getpid(), "emulator": version("ministack")}

    async def tell_time(_request: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"now": to_iso(clock.now()), "offset_seconds": clock.offset_seconds}

    async def move(request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Move the clock: ``now`` is where to; ``fire`` false sets it, also back, and fires nothing."""
        unknown = request.keys() - {"now", "fire"}
        if unknown or not isinstance(request.get("now"), str) or not isinstance(request.get("fire", True), bool):
            raise BadRequestError('the body reads {"now": "2026-11-23T06:00:00Z"}, with "fire": false to fire nothing')
        try:
            instant = from_iso(request["now"])
            if request.get("fire", True):
                fired = [firing.as_json() for firing in await asyncio.to_thread(assembly.scheduler.move_clock, instant)]
            else:
                fired = []
                await asyncio.to_thread(assembly.scheduler.set_clock, instant)
        except (ValueError, ClockMovedBackError) as problem:
            raise BadRequestError(str(problem)) from None
        return {"now": to_iso(clock.now()), "fired": fired}

    async def waiting(_request: Mapping[str, Any]) -> Mapping[str, Any]:
        return dict(assembly.waits.as_json())

    async def credentials(request: Mapping[str, Any]) -> Mapping[str, Any]:
        return dict(assembly.container_credentials.answer(request["*"]))

    async def permissions(_request: Mapping[str, Any]) -> Mapping[str, Any]:
        return dict(await asyncio.to_thread(assembly.permissions))

    return [
        Route("GET", "health", health),
        Route("GET", "clock", tell_time),
        Route("POST", "clock", move),
        Route("GET", "waiting", waiting),
        Route("GET", container_credentials.ROUTE, credentials),
        Route("GET", "permissions", permissions),
    ]


def _watch_parent(loop: asyncio.AbstractEventLoop, pid: int | None, stop: asyncio.Event) -> int | None:
    """Stop when a process ends: the kernel tells it, whatever ended it. Returns the descriptor to close."""
    if pid is None:
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        stop.set()  # it has ended already
        return None
    except OSError:  # a kernel without pidfd_open

        def look() -> None:
            if Path(f"/proc/{pid}").exists():
                loop.call_later(_LOOK_SECONDS, look)
            else:
                stop.set()

        look()
        return None
    loop.add_reader(descriptor, stop.set)
    return descriptor


def _log_to(file: Path) -> None:
    """Log into a file, before the emulator sets up logging of its own."""
    handler = logging.FileHandler(file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("local_cloud").setLevel(logging.INFO)
