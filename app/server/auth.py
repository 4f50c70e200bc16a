"""Decides who may ask: Host and Origin of a request, and the token, from its link, header, cookie or first message.

A page of another site in the user's browser can reach 127.0.0.1, but names itself in Origin (or Sec-Fetch-Site) and,
after DNS rebinding, in Host; it never gets an answer. Whoever asks for data shows the token besides. Browsers send a
cookie to every port of a host, so the cookie holds a value derived from the token, not the token itself.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import ipaddress
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from websockets.datastructures import Headers

from app.server.wire import RequestError

FAILURE_PAUSE_S: Final = 0.05
COOKIE_DAYS: Final = 90
_LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
_TOKEN_BYTES: Final = 32
_MIN_TOKEN: Final = 16
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{16,128}")


def new_token() -> str:
    """Return 256 random bits as URL-safe text."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def stored_token(path: Path) -> str:
    """Return the token kept in a file that only the user can read, made at first use; raise OSError otherwise."""
    with contextlib.suppress(FileNotFoundError, UnicodeDecodeError):
        with path.open("rb") as file:
            text = file.read(256).decode("ascii").strip()
        if _TOKEN.fullmatch(text):
            path.chmod(0o600)
            return text
    return replace_token(path)


def replace_token(path: Path) -> str:
    """Make a new token and keep it; links and cookies of the old one end. Raises OSError."""
    token = new_token()
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, token.encode("ascii"))
    finally:
        os.close(handle)
    os.replace(fresh, path)
    return token


def usable_token(text: str) -> bool:
    """Whether a token chosen by the user is long enough and fits into a link."""
    return _TOKEN.fullmatch(text) is not None


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own loopback."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False


def _bracketed(address: str) -> str:
    plain = address.partition("%")[0]
    return f"[{plain}]" if ":" in plain else plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """What is known of a connection before it says anything: its address, and the one it arrived at."""

    address: str
    local_address: str
    port: int


class Access:
    """The rules for one server. names: further host names by which it may be called; beyond_loopback: it listens on
    an address of the network, so that it may be called by that address too."""

    def __init__(self, token: str, names: Iterable[str] = (), *, beyond_loopback: bool = False) -> None:
        if not usable_token(token):
            raise ValueError(f"expected a token of at least {_MIN_TOKEN} letters, digits, - or _")
        self._token = token.encode("ascii")
        digest = hmac.new(self._token, b"fathom page", hashlib.sha256).digest()
        self._cookie = base64.urlsafe_b64encode(digest).rstrip(b"=")
        self._names = tuple(name.strip().lower() for name in names if name.strip())
        self._beyond_loopback = beyond_loopback

    # -- where the request comes from ----------------------------------------------------------------------------

    def check_host(self, headers: Headers, caller: Caller) -> str:
        """Return the host the caller named; raise RequestError (403) unless it is one name, and ours."""
        hosts = headers.get_all("Host")
        if len(hosts) != 1:
            raise RequestError("bad_host", f"expected one Host header, was {len(hosts)}", 403)
        host = hosts[0].strip().lower()
        names = [*_LOOPBACK_NAMES, *self._names]
        if self._beyond_loopback:
            names.append(_bracketed(caller.local_address))
        allowed = {f"{name}:{caller.port}" for name in names}
        if caller.port == 80:
            allowed.update(names)
        if host not in allowed:
            raise RequestError("bad_host", "this server does not go by the name in the Host header", 403)
        return host

    def check_origin(self, headers: Headers, host: str) -> bool:
        """Whether the request names its origin; raise RequestError (403) when that is not this very server."""
        origins = headers.get_all("Origin")
        if not origins:
            return False
        if len(origins) != 1 or origins[0].strip().lower() != f"http://{host}":
            raise RequestError("bad_origin", "pages of other origins get nothing from this server", 403)
        return True

    def check_site(self, headers: Headers) -> None:
        """Raise RequestError (403) for a request that the browser says another site's page has caused."""
        if any(site.strip().lower() not in ("same-origin", "none") for site in headers.get_all("Sec-Fetch-Site")):
            raise RequestError("bad_origin", "pages of other origins get nothing from this server", 403)

    # -- who asks ------------------------------------------------------------------------------------------------

    def is_token(self, text: str) -> bool:
        """Whether that is the token, compared in constant time."""
        return hmac.compare_digest(text.encode("utf-8", "surrogatepass"), self._token)

    def knows(self, headers: Headers, port: int) -> bool:
        """Whether the request carries the token as `Authorization: Bearer`, or the cookie."""
        for value in headers.get_all("Authorization"):
            scheme, _, credentials = value.strip().partition(" ")
            if scheme.lower() == "bearer" and self.is_token(credentials.strip()):
                return True
        name = cookie_name(port)
        # split by hand: http.cookies gives up at the first cookie that another program of this host wrote carelessly
        for pair in ";".join(headers.get_all("Cookie")).split(";"):
            key, _, value = pair.strip().partition("=")
            if key == name and hmac.compare_digest(value.encode("utf-8", "surrogatepass"), self._cookie):
                return True
        return False

    def cookie_header(self, port: int) -> str:
        """Return the Set-Cookie value for a browser that showed the token."""
        age_s = COOKIE_DAYS * 86_400
        value = self._cookie.decode("ascii")
        return f"{cookie_name(port)}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict"


def cookie_name(port: int) -> str:
    """Return the cookie's name; two servers of one machine share a host, not a port."""
    return f"fathom_{port}"
