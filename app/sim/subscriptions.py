"""Turns stream names and control frames into subscriptions and answers, as Binance defines its market data streams."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from app.domain.ids import Market

MAX_STREAMS = 1024
CATEGORIES = ("public", "market", "private")

_PUBLIC = re.compile(r"@(depth|rpiDepth|bookTicker|trade$)|^!bookTicker")
_DEPTH = re.compile(r"^(?P<symbol>[^@!]+)@depth(?P<levels>5|10|20)?(?:@(?P<speed>\d+)ms)?$")
_SPEEDS = {Market.BINANCE_SPOT: (1000, 100), Market.BINANCE_USDM: (250, 100, 500)}


@dataclass(frozen=True, slots=True)
class DepthStream:
    """A depth stream's name in parts; `levels` None means diffs."""

    symbol: str
    interval_ms: int
    levels: int | None


@dataclass(slots=True)
class Endpoint:
    """What a WebSocket address asks for: combined or raw form, category (None: unrouted), streams."""

    combined: bool
    category: str | None
    streams: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Control:
    """What a control frame asks for. `error` is set when it is not understood."""

    method: str = ""
    params: list[str] = field(default_factory=list)
    combined: bool | None = None
    id: int | str | None = None
    error: str | None = None


def read_path(market: Market, target: str) -> Endpoint | None:
    """Return what a request target opens, None for an address the venue does not know."""
    path, _, query = target.partition("?")
    parts = [unquote(part) for part in path.split("/") if part]
    category = None
    if market is Market.BINANCE_USDM and parts and parts[0] in CATEGORIES:
        category = parts.pop(0)
    if not parts:
        return None
    head, rest = parts[0], parts[1:]
    if head == "ws":
        return Endpoint(False, category, rest)
    if head == "stream" and not rest:
        words = [word.partition("=") for word in query.split("&")]
        names = next((value for key, _, value in words if key == "streams"), "")
        return Endpoint(True, category, [unquote(name) for name in names.split("/") if name])
    return None


def delivered_on(category: str | None, stream: str) -> bool:
    """Tell whether a stream says anything on connections of a category; unrouted ones carry the public streams."""
    public = _PUBLIC.search(stream) is not None
    return public if category in (None, "public") else category == "market" and not public


def read_depth_stream(market: Market, name: str) -> DepthStream | None:
    """Return a depth stream's parts; None for other streams and for speeds the market does not offer."""
    found = _DEPTH.match(name)
    if found is None:
        return None
    speeds = _SPEEDS[market]
    speed = int(found["speed"]) if found["speed"] else speeds[0]
    if speed not in speeds:
        return None
    return DepthStream(found["symbol"].upper(), speed, int(found["levels"]) if found["levels"] else None)


def read_control(text: str | bytes) -> Control:
    """Return what a control frame asks for."""
    try:
        frame = json.loads(text)
    except ValueError:
        return Control(error="Invalid JSON: expected value")
    if not isinstance(frame, dict):
        return Control(error="Invalid request: request must be an object")
    identity = frame.get("id")
    if isinstance(identity, bool) or not isinstance(identity, int | str | None):
        return Control(error="Invalid request: request ID must be an unsigned integer or a string")
    method, params = frame.get("method"), frame.get("params", [])
    control = Control(method=str(method), id=identity)
    if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
        if not isinstance(params, list) or not params or not all(isinstance(each, str) for each in params):
            control.error = "Invalid request: params must be a list of stream names"
        else:
            control.params = params
    elif method == "SET_PROPERTY":
        if isinstance(params, list) and len(params) == 2 and params[0] == "combined" and isinstance(params[1], bool):
            control.combined = params[1]
        else:
            control.error = "Invalid request: unknown property"
    elif method not in ("LIST_SUBSCRIPTIONS", "GET_PROPERTY"):
        control.error = f"Invalid request: unknown variant `{method}`"
    return control


def answer(control: Control, result: object = None) -> str:
    """Return the frame that answers a control frame."""
    if control.error is not None:
        error = {"code": 2, "msg": control.error}
        return json.dumps({"error": error, "id": control.id} if control.id is not None else error)
    return json.dumps({"result": result, "id": control.id}, separators=(",", ":"))
