"""Answers on a listening socket until SIGTERM."""

import asyncio
import signal
import socket

from sagemaker_jobs.serve.connection import Answers, Connection

PATIENCE = 25.0  # seconds for what has begun to end; SIGKILL comes 30 s after SIGTERM ("Custom Inference Code")
_BACKLOG = 2048  # connections that wait to be accepted


def listen(host: str, port: int) -> socket.socket:
    """A socket for `run`, by one process or several. Raises OSError if the port is taken."""
    # asyncio sends small answers at once (TCP_NODELAY) on sockets that name their protocol only
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    listening.listen(_BACKLOG)
    listening.setblocking(False)
    return listening


def run(answer: Answers, listening: socket.socket) -> None:
    """Serve, and return after SIGTERM."""
    asyncio.run(_run(answer, listening))


async def _run(answer: Answers, listening: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    connections: set[Connection] = set()
    # one connection is accepted at a time, or one process could take all; the kernel still lets many wait
    server = await loop.create_server(lambda: Connection(answer, connections), sock=listening, backlog=1)
    listening.listen(_BACKLOG)
    await stopped.wait()
    server.close()
    for connection in list(connections):
        connection.end()
    deadline = loop.time() + PATIENCE
    while connections and loop.time() < deadline:
        await asyncio.sleep(0.01)
