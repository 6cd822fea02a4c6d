"""Signed URLs in the form that Kaggle's redirects have: Google's V2 signing, with an HMAC in place of the RSA key.

Form: `…/<bucket>/<object>?GoogleAccessId=…&Expires=<seconds>&Signature=<base64>&response-content-disposition=…`.
Signed is "GET\\n\\n\\n<Expires>\\n/<bucket>/<object>" (cloud.google.com/storage/docs/access-control/signed-urls-v2).
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlencode

ACCESS_ID = "web-data@local-cloud.invalid"

Refusal = Literal["missing", "expired", "altered"]


class Signer:
    """Signs and checks paths with a key that lives as long as the object."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def query(self, path: str, *, expires: int, file_name: str) -> str:
        """The query that makes `path` (quoted) readable until `expires`, in seconds since 1970."""
        return urlencode(
            {
                "GoogleAccessId": ACCESS_ID,
                "Expires": str(expires),
                "Signature": self._signature(path, str(expires)),
                "response-content-disposition": f"attachment; filename={file_name}",
            }
        )

    def refusal(self, path: str, query: Mapping[str, str], now: float) -> Refusal | None:
        """Why a request for `path` (quoted) must be refused at `now`, in seconds since 1970; None if it must not."""
        expires, signature = query.get("Expires", ""), query.get("Signature", "")
        if not expires or not signature or not query.get("GoogleAccessId"):
            return "missing"
        if not hmac.compare_digest(signature.encode(), self._signature(path, expires).encode()):
            return "altered"
        return "expired" if int(expires) < now else None

    def _signature(self, path: str, expires: str) -> str:
        text = f"GET\n\n\n{expires}\n{path}"
        return base64.b64encode(hmac.digest(self._key, text.encode(), hashlib.sha256)).decode()
