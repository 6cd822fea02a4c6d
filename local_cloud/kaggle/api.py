"""Kaggle's HTTP API, as far as downloading a competition's data needs it, and the control paths of the local cloud.

Paths: those of Kaggle's published clients (`kagglesdk`, service `competition_api_service`). Error bodies and messages:
as reported in the issues of Kaggle's clients. Downloads answer with a redirect to a signed URL of the storage.
"""

import json
from typing import Any
from urllib.parse import quote, unquote

from local_cloud.kaggle.catalogue import Listing
from local_cloud.kaggle.competition import Competition, CompetitionServer
from local_cloud.kaggle.description import FeedError
from local_cloud.kaggle.faults import Fault
from local_cloud.kaggle.http_base import Handler

API = "/api/v1"
_DATA = f"{API}/competitions/data/"
_FAULTS = "/_control/faults"
_REQUESTS = "/_control/requests"
_PAGE = 20  # files in a page of the list, unless the query says pageSize

_MESSAGES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "You must accept this competition's rules before you'll be able to download files.",
    404: "NotFound",
    405: "Method Not Allowed",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class ApiHandler(Handler):
    """Answers for one competition."""

    server: CompetitionServer
    _entry: dict[str, Any] | None = None  # of the current request in the log; control requests have none

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
        """Serve `competitions/data/…`, unless a fault comes first; or tell what the control paths know."""
        self._entry = None
        if self.route == _FAULTS:
            return self.answer_json(200, {"faults": [f.to_mapping() for f in self.competition.faults.remaining()]})
        if self.route == _REQUESTS:
            return self.answer_json(200, {"requests": self.competition.log.entries()})
        self._entry = self.competition.log.open("api", self)
        fault = self.competition.faults.take("api", self.route)
        if fault is not None and self._fail(fault):
            return None
        if not self.competition.credentials.admit(self.headers.get("Authorization")):
            return self._error(401)
        return self._serve(expired=fault is not None and fault.kind == "expired_link")

    def post(self) -> None:
        """Plan faults: a JSON object, or a list of them, with the fields of `Fault`."""
        self._entry = None
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.route != _FAULTS:
            return self._error(405)
        try:
            content = json.loads(body)
            faults = [Fault.from_mapping(each) for each in (content if isinstance(content, list) else [content])]
        except (ValueError, AttributeError) as error:
            return self._error(400, f"Not a fault, nor a list of faults: {error}")
        self.competition.faults.add(*faults)
        return self.answer_json(200, {"faults": [f.to_mapping() for f in self.competition.faults.remaining()]})

    def delete(self) -> None:
        """Forget all faults, or all requests."""
        self._entry = None
        if self.route == _FAULTS:
            self.competition.faults.clear()
        elif self.route == _REQUESTS:
            self.competition.log.clear()
        else:
            return self._error(405)
        return self.answer_json(200, {})

    def _error(self, status: int, message: str | None = None, headers: dict[str, str] | None = None) -> None:
        self.answer_json(status, {"code": status, "message": message or _MESSAGES.get(status, "Error")}, headers)

    def _fail(self, fault: Fault) -> bool:
        """Answer as the fault wants; False for a fault that only changes the answer."""
        match fault.kind:
            case "status":
                self._error(fault.status, headers={"Retry-After": fault.retry_after} if fault.retry_after else None)
            case "unauthorized":
                self._error(401)
            case "rules_not_accepted":
                self._error(403)
            case "web_page":
                self.answer_web_page()
            case "redirect_loop":
                self.answer(302, b"", "text/html; charset=utf-8", {"Location": self.path})
            case "disconnect":
                self.disconnect()
            case _:
                return False
        return True

    def _serve(self, *, expired: bool) -> None:
        what, _, rest = self.route.removeprefix(_DATA).partition("/")
        slug, _, file = rest.partition("/")
        known = self.route.startswith(_DATA) and what in ("list", "download", "download-all")
        if not known or slug != self.competition.catalogue.slug or bool(file) != (what == "download"):
            return self._error(404)
        if what != "list" and not self.competition.rules_accepted:
            return self._error(403)
        try:
            listing = self.competition.catalogue.listing(self.competition.now())
        except FeedError as error:
            return self._error(500, str(error))
        if what == "list":
            return self._list(listing)
        path = listing.bundle if what == "download-all" else listing.files.get(unquote(file))
        if path is None:
            return self._error(404)
        location = self.competition.link(path, seconds=-60) if expired else self.competition.link(path)
        return self.answer(302, b"", "text/html; charset=utf-8", {"Location": location, "Cache-Control": "private"})

    def _list(self, listing: Listing) -> None:
        """A page of the files; `pageToken` is where it starts."""
        # What is no number counts as not given: Kaggle's own client 1.6 sends pageToken=None.
        asked = {name: int(text) for name, text in self.query.items() if text.isascii() and text.isdigit()}
        size, start = asked.get("pageSize") or _PAGE, asked.get("pageToken", 0)
        names = list(listing.files)
        following = str(start + size) if start + size < len(names) else ""
        files = [self._describe(listing, name) for name in names[start : start + size]]
        return self.answer_json(
            200,
            {"files": files, "nextPageToken": following, "nextPageTokenNullable": following or None},
        )

    def _describe(self, listing: Listing, name: str) -> dict[str, Any]:
        url = f"{_DATA}download/{quote(self.competition.catalogue.slug)}/{quote(name, safe='')}"
        return {
            "ref": name,
            "name": name,
            "nameNullable": name,
            "description": "",
            "totalBytes": listing.objects[listing.files[name]].size,
            "url": f"http://{self.headers.get('Host', '')}{url}",
            "creationDate": listing.edition.published.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
