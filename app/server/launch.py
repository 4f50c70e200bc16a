"""What is settled before a server listens: whether it may, its token, its links, and why it could not."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket

import psutil

from app.server import auth
from app.server.status import ServerOptions


def check_options(options: ServerOptions) -> bool:
    """Whether the server stays on this machine; raise ValueError, in a sentence, when it may not listen there."""
    if not options.host:
        raise ValueError("The local server was not started: server.host is empty, expected e.g. 127.0.0.1.")
    is_local = auth.is_loopback(options.host)
    if not is_local and not options.allow_lan:
        raise ValueError(
            f"The local server was not started: other machines can reach {options.host}, which needs server.allow_lan."
        )
    return is_local


def token_of(options: ServerOptions) -> str:
    """Return the token clients have to show; raise ValueError for one that will not do, OSError for its file."""
    if options.token:
        if not auth.usable_token(options.token):
            raise ValueError(
                "server.token: expected 16 to 128 letters, digits, - or _; leave it empty to have one made"
            )
        return options.token
    return auth.new_token() if options.token_file is None else auth.stored_token(options.token_file)


def hosts(host: str) -> list[str]:
    """Return the names under which a browser finds the server, the best first."""
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_unspecified:
            found = [
                address.address
                for addresses in psutil.net_if_addrs().values()
                for address in addresses
                if address.family == socket.AF_INET and not auth.is_loopback(address.address)
            ]
            return [*found, "127.0.0.1"]
    return [f"[{host}]" if ":" in host else host]


def why_not(error: OSError, options: ServerOptions) -> str:
    """Return why the server could not listen, as a sentence."""
    if error.errno == errno.EADDRINUSE:
        return (
            f"The local server was not started: port {options.port} is in use by another program. "
            "server.port can name another one."
        )
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"The local server was not started: this machine has no address {options.host}."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"The local server was not started: port {options.port} or its token file may not be used ({error})."
    return f"The local server was not started: {error}."
