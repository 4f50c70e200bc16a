"""From what sockets, TLS and HTTP raise to one plain sentence for the person in front of the screen."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

import httpx
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
    ProxyError,
)

from app.domain.errors import RetryableFeedError

_CLOSE_CODES: Final = {
    1000: "the venue closed the connection",
    1001: "the venue closed the connection (1001: its server goes away)",
    1002: "the venue closed the connection (1002: protocol error)",
    1006: "the connection broke off",
    1007: "the venue closed the connection (1007: invalid text)",
    1008: "the venue closed the connection (1008): against its rules, such as too many messages",
    1009: "the venue closed the connection (1009): a message of ours was too big",
    1011: "the venue closed the connection after an error of its own (1011)",
    1012: "the venue is restarting (1012)",
    1013: "the venue is overloaded and asks to come back later (1013)",
}
MAINTENANCE_CODES: Final = frozenset({1012, 1013})
MAINTENANCE_STATUS: Final = frozenset({418, 429, 500, 502, 503, 504})
MAINTENANCE_WAIT_S: Final = 2.0
"""A venue in maintenance is not asked again at once."""
_LONGEST_WAIT_S: Final = 4 * 24 * 3600.0


class LinkLost(RetryableFeedError):
    """A connection cannot be had or has ended; the text says why.

    wait_s: not to be tried again before. status: the HTTP status that refused the handshake, None: another reason.
    """

    def __init__(self, reason: str, wait_s: float = 0.0, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s
        self.status = status


def not_opened(error: BaseException, url: str, timeout_s: float) -> LinkLost:
    """Return the failed attempt to open `url` as a loss; honours Retry-After and maintenance."""
    wait_s = 0.0
    status = None
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        wait_s = retry_after_s(error.response.headers.get("Retry-After"))
    if is_maintenance(error):
        wait_s = max(wait_s, MAINTENANCE_WAIT_S)
    return LinkLost(explain_failure(error, url, timeout_s), wait_s, status)


def closed_by(error: ConnectionClosed, max_bytes: int) -> LinkLost:
    """Return the end of an open connection as a loss."""
    return LinkLost(explain_close(error, max_bytes), MAINTENANCE_WAIT_S if is_maintenance(error) else 0.0)


def explain_failure(error: BaseException, url: str, timeout_s: float) -> str:
    """Say why no connection to `url` could be had."""
    where = place(url)
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return f"{where} did not answer within {timeout_s:g} s"
    if isinstance(error, InvalidStatus):
        return explain_status(error.response.status_code, where)
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return f"the name {urlsplit(url).hostname} cannot be resolved: is the network up?"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate of {where} is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"no encrypted connection to {where}: {(cause.reason or 'TLS failed').replace('_', ' ').lower()}"
        if isinstance(cause, ConnectionRefusedError) or _refused(cause):
            return f"nothing accepts connections at {where} (refused)"
        if isinstance(cause, ConnectionResetError | BrokenPipeError):
            return f"{where} broke the connection off"
    if isinstance(error, InvalidProxy | ProxyError | httpx.ProxyError):
        return f"the proxy on the way to {where} refused the connection: {error}"
    if isinstance(error, ImportError):
        return "a SOCKS proxy is configured on this computer, which needs the package python-socks"
    if isinstance(error, InvalidMessage | EOFError):
        return f"{where} answered, but not as a WebSocket server does"
    if isinstance(error, InvalidHandshake):
        return f"{where} is not a WebSocket server: {error}"
    if isinstance(error, httpx.RemoteProtocolError | httpx.DecodingError):
        return f"{where} broke off its answer or sent one that is not HTTP"
    if isinstance(error, OSError) and error.strerror:
        return f"no connection to {where}: {error.strerror}"
    return f"no connection to {where}: {str(error) or type(error).__name__}"


def explain_status(status: int, where: str) -> str:
    """Say what an HTTP status other than 200 means."""
    if status == 429:
        return f"{where} asks to slow down (HTTP 429)"
    if status == 418:
        return f"{where} has banned this address for a while (HTTP 418)"
    if status == 403:
        return f"{where} refuses this address (HTTP 403): its firewall, or a country it does not serve"
    if status == 451:
        return f"{where} does not serve this country (HTTP 451)"
    if status == 404:
        return f"{where} does not know the path asked for (HTTP 404): is the address right?"
    if status in (500, 502, 503, 504):
        return f"{where} is not available now (HTTP {status}): maintenance or overload"
    return f"{where} answered with HTTP {status}"


def explain_close(closed: ConnectionClosed, max_bytes: int) -> str:
    """Say why an open connection ended."""
    if closed.rcvd is not None and (closed.rcvd_then_sent or closed.sent is None):
        said = _CLOSE_CODES.get(closed.rcvd.code, f"the venue closed the connection (code {closed.rcvd.code})")
        words = "".join(letter for letter in closed.rcvd.reason if letter.isprintable())[:120]
        return f"{said}: {words}" if words else said
    if closed.sent is not None:
        if closed.sent.code == 1009:
            return f"a message larger than {max_bytes // 1024} kB was refused (1009)"
        if closed.sent.code == 1011:
            return "the venue did not answer a ping"
        if closed.sent.code in (1002, 1007):
            return f"the venue sent something that is not WebSocket: {closed.sent.reason[:120]}"
    return _CLOSE_CODES[1006]


def is_maintenance(error: BaseException) -> bool:
    """Tell whether the venue itself asked for patience: the first retry must not come at once."""
    if isinstance(error, InvalidStatus):
        return error.response.status_code in MAINTENANCE_STATUS
    return isinstance(error, ConnectionClosed) and error.rcvd is not None and error.rcvd.code in MAINTENANCE_CODES


def is_hopeless(error: BaseException) -> bool:
    """Tell whether trying again cannot help because the address itself is wrong."""
    return isinstance(error, InvalidURI | httpx.UnsupportedProtocol | httpx.InvalidURL)


def retry_after_s(text: str | None, default: float = 0.0) -> float:
    """Return the seconds of a Retry-After header; the default when it is absent or no sane number."""
    try:
        seconds = float(text) if text is not None else default
    except ValueError:
        return default
    return seconds if 0.0 <= seconds <= _LONGEST_WAIT_S else default


def place(url: str) -> str:
    """Return host and port of an address."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or url


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error, those it came from, and those inside groups (asyncio joins several refusals)."""
    found: list[BaseException] = []
    queue: list[BaseException | None] = [error]
    while queue:
        one = queue.pop(0)
        if one is None or one in found:
            continue
        found.append(one)
        queue += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            queue += one.exceptions
    return found


def _refused(error: BaseException) -> bool:
    """Recognise a refusal on several addresses, which asyncio reports as one OSError without a number."""
    if not isinstance(error, OSError):
        return False
    return error.errno == errno.ECONNREFUSED or str(error).count("Connect call failed") > 1
