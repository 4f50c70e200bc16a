"""Turns an answer of the simulator into the HTTP response that `websockets` sends in place of a handshake."""

from __future__ import annotations

import http
from dataclasses import dataclass, field

from websockets.datastructures import Headers
from websockets.http11 import Response


@dataclass(slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def respond(result: Answer) -> Response:
    """Return an HTTP response that ends the connection, as there is no keep-alive in place of a handshake."""
    kind = "application/json;charset=UTF-8" if result.body[:1] in (b"{", b"[") else "text/plain"
    headers = Headers({"Content-Type": kind, "Content-Length": str(len(result.body)), "Connection": "close"})
    for name, value in result.headers.items():
        headers[name] = value
    try:
        phrase = http.HTTPStatus(result.status).phrase
    except ValueError:
        phrase = "Unknown"
    return Response(result.status, phrase, headers, result.body)
