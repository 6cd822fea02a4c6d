"""Condition keys of requests that the emulator does not read itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from botocore.parsers import RpcV2CBORParser

_CBOR = RpcV2CBORParser()


def request_keys(service: str, body: bytes, query: Mapping[str, Any]) -> dict[str, str]:
    """Return ``cloudwatch:namespace`` of a request that names one, in any of CloudWatch's protocols.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
    """
    if service != "monitoring":
        return {}
    namespace = _member(body, query, "Namespace")
    return {"cloudwatch:namespace": namespace} if namespace else {}


def _member(body: bytes, query: Mapping[str, Any], name: str) -> str:
    given = query.get(name)
    if given:
        return str(given[0] if isinstance(given, list) else given)
    for read in (_json, _cbor, _form):
        content = read(body)
        if content.get(name):
            return str(content[name])
    return ""


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, Mapping) else {}


def _cbor(body: bytes) -> Mapping[str, Any]:
    try:
        content = _CBOR.parse_data_item(_CBOR.get_peekable_stream_from_bytes(body))
    except Exception:  # whatever is no CBOR
        return {}
    return content if isinstance(content, Mapping) else {}


def _form(body: bytes) -> Mapping[str, Any]:
    return {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
