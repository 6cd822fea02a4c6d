"""The storage that downloads are redirected to: signed URLs, checksums and ranges as Google Cloud Storage has them.

Status codes and error names: cloud.google.com/storage/docs/xml-api/reference-status. A request that carries an
Authorization header besides its signature is refused, with 401 AuthenticationRequired (as users report it).
"""

from typing import Any
from xml.sax.saxutils import escape

from local_cloud.kaggle.competition import Competition, CompetitionServer
from local_cloud.kaggle.faults import Fault
from local_cloud.kaggle.http_base import Handler
from local_cloud.kaggle.ranges import ByteRange, UnsatisfiableRangeError, requested_range, still_applies
from local_cloud.kaggle.signing import Refusal
from local_cloud.kaggle.stored_object import StoredObject

_REFUSALS: dict[Refusal, tuple[int, str, str]] = {
    "missing": (403, "AccessDenied", "Access denied."),
    "altered": (
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the one you provided.",
    ),
    "expired": (400, "ExpiredToken", "The provided token has expired."),
}


class StorageHandler(Handler):
    """Answers for the objects of one competition."""

    server: CompetitionServer
    _entry: dict[str, Any] | None = None  # of the current request in the log

    @property
    def competition(self) -> Competition:
        """The competition that is served."""
        return self.server.competition

    def start_answer(self, status: int, headers: Any) -> None:
        """As the base class; the log of requests learns the status."""
        if self._entry is not None:
            self._entry["status"] = status
        super().start_answer(status, headers)

    def get(self) -> None:
        """Serve an object, or the part of it that a Range header asks for, unless a fault comes first."""
        self._entry = self.competition.log.open("storage", self)
        if "Authorization" in self.headers:
            return self._error(401, "AuthenticationRequired", "Authentication required.")
        fault = self.competition.faults.take("storage", self.route)
        if fault is not None and self._fail(fault):
            return None
        refusal = self.competition.signer.refusal(self.route, self.query, self.competition.wall_clock())
        if refusal is not None:
            return self._error(*_REFUSALS[refusal])
        stored = self.competition.catalogue.find(self.route)
        if stored is None:
            return self._error(404, "NoSuchKey", "The specified key does not exist.")
        return self._serve(stored, fault)

    def _serve(self, stored: StoredObject, fault: Fault | None) -> None:
        kind = fault.kind if fault else None
        headers = self._headers(stored)
        if kind == "no_hash":
            del headers["X-Goog-Hash"]
        part = None
        applies = still_applies(self.headers.get("If-Range"), etag=stored.etag, last_modified=stored.last_modified)
        if applies and kind != "ignore_range":
            try:
                part = requested_range(self.headers.get("Range"), stored.size)
            except UnsatisfiableRangeError:
                return self._error(
                    416,
                    "InvalidRange",
                    "The requested range cannot be satisfied.",
                    {"Content-Range": f"bytes */{stored.size}"},
                )
        sent = part or ByteRange(0, stored.size)
        if part is not None:
            headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{stored.size}"
        headers["Content-Length"] = str(sent.stop - sent.start)
        self.start_answer(200 if part is None else 206, headers)
        if self.command != "HEAD":
            self._send(stored, sent, fault)
        return None

    def _headers(self, stored: StoredObject) -> dict[str, str]:
        headers = {
            "Content-Type": stored.content_type,
            "Accept-Ranges": "bytes",
            "ETag": stored.etag,
            "Last-Modified": stored.last_modified,
            "X-Goog-Hash": stored.goog_hash,
            "X-Goog-Generation": str(int(stored.published.timestamp() * 1_000_000)),
            "X-Goog-Stored-Content-Encoding": "identity",
            "X-Goog-Stored-Content-Length": str(stored.size),
        }
        disposition = self.query.get("response-content-disposition")
        if disposition and disposition.isprintable():  # it is not signed: no line breaks into the headers
            headers["Content-Disposition"] = disposition.encode("ascii", "replace").decode()
        return headers

    def _send(self, stored: StoredObject, part: ByteRange, fault: Fault | None) -> None:
        """Send the body, and let happen what the fault wants."""
        turn = part.stop if fault is None else min(part.start + fault.after_bytes, part.stop)
        for chunk in stored.read(part.start, turn):
            self.wfile.write(chunk)
        match fault.kind if fault else None:
            case "truncate":
                return self.disconnect()
            case "stall" if fault is not None:
                self.wfile.flush()
                if self.server.closing.wait(fault.seconds):
                    return self.disconnect()
            case "corrupt" if turn < part.stop:
                wrong = b"".join(stored.read(turn, turn + 1))
                self.wfile.write(bytes([wrong[0] ^ 0xFF]))
                turn += 1
        for chunk in stored.read(turn, part.stop):
            self.wfile.write(chunk)
        return None

    def _fail(self, fault: Fault) -> bool:
        """Answer as the fault wants; False for a fault that only changes the answer."""
        match fault.kind:
            case "status":
                headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
                self._error(fault.status, "ServiceUnavailable", "Please try again.", headers)
            case "web_page":
                self.answer_web_page()
            case "disconnect":
                self.disconnect()
            case _:
                return False
        return True

    def _error(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        body = f"<?xml version='1.0' encoding='UTF-8'?>{error}".encode()
        self.answer(status, body, "application/xml; charset=UTF-8", headers)
