"""Passes connections on from a containers' network to a port of the loopback address."""

import contextlib
import socket
import threading


class Relay:
    """Listens on a free port of `host` and passes every connection on to `port` of 127.0.0.1. Close it in the end."""

    def __init__(self, host: str, port: int) -> None:
        self._port = port
        self._listener = socket.create_server((host, 0))
        self.address = f"http://{host}:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                outside, _ = self._listener.accept()
                inside = socket.create_connection(("127.0.0.1", self._port))
                for pair in ((outside, inside), (inside, outside)):
                    threading.Thread(target=_pass, args=pair, daemon=True).start()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(1 << 16):
            target.sendall(content)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
