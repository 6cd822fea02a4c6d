"""HTTP/1.1 as uvicorn reads it with httptools, within bounds, and with the endpoint's own words for what is no HTTP."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sagemaker_jobs.serve.answers import refusal

LARGEST_HEAD = 64 * 1024  # bytes beside the body: request line, headers, chunk sizes, trailers
_LARGEST_READ = 256 * 1024  # bytes that arrive at once, and are of the next request too


class Protocol(HttpToolsProtocol):
    """One connection. httptools itself keeps any number of headers of any length."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._received = 0  # bytes since a request began
        self._body = 0  # of them in its body

    def data_received(self, data: bytes) -> None:
        """Bytes of a request, or of several."""
        self._received += len(data)
        super().data_received(data)
        # a body in chunks may come with as many bytes beside it as are in it
        if self._received > LARGEST_HEAD + 2 * self._body + _LARGEST_READ and not self.transport.is_closing():
            self.send_400_response(f"more than {LARGEST_HEAD:,} bytes of headers")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._received = self._body = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """A part of its body."""
        self._body += len(body)
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read, and close."""
        answer = refusal(400, msg)
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: {answer.headers['content-type']}\r\n"
        head += f"content-length: {len(answer.body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + answer.body)
        self.transport.close()
