"""From the certificate the gateway shows to the only one that is accepted (fact sheet, section 8).

The gateway ships a certificate nobody has signed. It is trusted once by its fingerprint, kept, and checked on every
connection from then on: nothing here switches verification off. Only addresses of this computer may be trusted so.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
from cryptography import x509

from app.domain.errors import FatalFeedError
from app.domain.units import NS_PER_S
from app.settings.files import set_aside, write_atomic
from app.venues.explain import LinkLost, explain_failure

_log = logging.getLogger("fathom.venues.ibkr_portal")
HOSTS: Final = ("127.0.0.1", "::1", "localhost")
_BIGGEST: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Gateway:
    """Address of a gateway on this computer."""

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Gateway:
        """Return the place of an address. Raises FatalFeedError for any but https on this computer."""
        try:
            parts = urlsplit(url.strip())
            host, port = parts.hostname or "", parts.port or 5000
        except ValueError:
            host, port, parts = "", 0, urlsplit("")
        if parts.scheme != "https" or host not in HOSTS or parts.username or parts.password:
            raise FatalFeedError(
                "expected the address of a gateway on this computer, such as https://localhost:5000,"
                f" was {_without_password(url)!r}: a certificate is only trusted by its fingerprint on this computer"
            )
        return cls(host, port)

    @property
    def place(self) -> str:
        """Return host and port as they stand in an address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def login_url(self) -> str:
        """Return where the user logs in."""
        return f"https://{self.place}"

    @property
    def rest_url(self) -> str:
        """Return the base of every request."""
        return f"https://{self.place}/v1/api"

    @property
    def socket_url(self) -> str:
        """Return the address of the WebSocket."""
        return f"wss://{self.place}/v1/api/ws"


def _without_password(url: str) -> str:
    return url.rpartition("@")[2][:120]


# -- certificates ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate: as text (PEM), its SHA-256 as hex pairs, and from when until when it holds."""

    pem: str
    fingerprint: str
    not_before: datetime
    not_after: datetime

    @classmethod
    def of(cls, pem: str) -> Certificate:
        """Read a certificate. Raises ValueError when the text is none."""
        der = ssl.PEM_cert_to_DER_cert(pem)
        read = x509.load_der_x509_certificate(der)
        return cls(
            pem=pem,
            fingerprint=hex_pairs(hashlib.sha256(der).hexdigest()),
            not_before=read.not_valid_before_utc,
            not_after=read.not_valid_after_utc,
        )


def hex_pairs(digits: str) -> str:
    """Return a fingerprint in the form people compare: `AB:CD:...`."""
    plain = "".join(letter for letter in digits.upper() if letter in "0123456789ABCDEF")
    return ":".join(plain[at : at + 2] for at in range(0, len(plain), 2))


def same_fingerprint(one: str, other: str) -> bool:
    """Compare two fingerprints however they are written; an empty one is like none."""
    left, right = hex_pairs(one), hex_pairs(other)
    return len(left) == 95 and left == right


async def fetch_certificate(gateway: Gateway, timeout_s: float) -> Certificate:
    """Return the certificate the gateway shows, without trusting it. Raises LinkLost with a sentence."""
    return await asyncio.to_thread(_fetch, gateway, timeout_s)


def _fetch(gateway: Gateway, timeout_s: float) -> Certificate:
    try:
        pem = ssl.get_server_certificate((gateway.host, gateway.port), timeout=timeout_s)
        return Certificate.of(pem)
    except (ssl.SSLError, ConnectionResetError) as error:
        reason = f"something answers at {gateway.place}, but not as the gateway does (no TLS): is the port right?"
        raise LinkLost(reason) from error
    except (OSError, socket.gaierror) as error:
        raise LinkLost(explain_failure(error, gateway.login_url, timeout_s)) from error
    except ValueError as error:
        raise LinkLost(f"{gateway.place} showed a certificate that cannot be read") from error


def pinned_context(certificate: Certificate) -> ssl.SSLContext:
    """Return TLS settings under which exactly this certificate is accepted, until it expires.

    The name in it is not compared: the gateway's certificate names nothing of this computer, and no other certificate
    can pass. Python 3.13 and later refuse minimal certificates under VERIFY_X509_STRICT.
    """
    context = ssl.create_default_context(cadata=certificate.pem)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


# -- what is trusted ---------------------------------------------------------------------------------------------------


class Trust(Enum):
    """What may be done with a certificate."""

    TRUSTED = "trusted"
    FIRST = "first"
    CHANGED = "changed"
    EXPIRED = "expired"
    EARLY = "early"


def judge(seen: Certificate, setting: str, pinned: Certificate | None, now_ns: int) -> Trust:
    """Say what a certificate is, by the fingerprint of the setting ("" none) and the one kept (None: none)."""
    now_s = now_ns / NS_PER_S
    known = same_fingerprint(setting, seen.fingerprint) or (
        pinned is not None and same_fingerprint(pinned.fingerprint, seen.fingerprint)
    )
    if now_s >= seen.not_after.timestamp():
        return Trust.EXPIRED
    if now_s < seen.not_before.timestamp():
        return Trust.EARLY
    if known:
        return Trust.TRUSTED
    return Trust.FIRST if pinned is None and not setting.strip() else Trust.CHANGED


def explain_trust(trust: Trust, seen: Certificate, known: str, place: str) -> str:
    """Return the sentence for the user; known: the fingerprint trusted before, "" none."""
    if trust is Trust.FIRST:
        return (
            f"The gateway at {place} shows a certificate Fathom has not seen before. Compare its fingerprint"
            f" {seen.fingerprint} and trust it if this is your gateway"
        )
    if trust is Trust.CHANGED:
        return (
            f"The certificate at {place} has changed: expected {known}, was {seen.fingerprint}. Either the gateway was"
            " installed anew, or something else has taken its port. Nothing is sent until you trust the new one"
        )
    if trust is Trust.EXPIRED:
        return (
            f"The certificate of the gateway at {place} expired on {seen.not_after:%d %b %Y}. Install a current"
            " gateway, or put a new certificate into root/conf.yaml (sslCert, sslPwd), then trust that one"
        )
    return (
        f"The certificate of the gateway at {place} is valid only from {seen.not_before:%d %b %Y %H:%M} UTC:"
        " is the clock of this computer right?"
    )


class _PinFile(msgspec.Struct):
    version: int
    fingerprint: str
    pem: str


class PinStore:
    """The trusted certificate on disk: JSON {"version": 1, "fingerprint": "AB:..", "pem": ".."}, readable by the user
    only. `path` None keeps it in memory. damage: a sentence when the file could not be read or written, "" else."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.pinned: Certificate | None = None
        self.damage = ""

    def load(self, *, keep: bool = False) -> None:
        """Read the file; a damaged one counts as none and is renamed, unless it is to be kept as it is."""
        if self._path is None:
            return
        try:
            with self._path.open("rb") as file:
                raw = file.read(_BIGGEST + 1)
        except FileNotFoundError:
            return
        except OSError as error:
            self._complain(f"the trusted certificate cannot be read ({error.strerror or error}); it is asked for again")
            return
        try:
            self.pinned = _pinned(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError):
            aside = None if keep else set_aside(self._path)
            kept = f"renamed to {aside.name}" if aside is not None else "left as it is"
            self._complain(f"the file of the trusted certificate is damaged ({kept}); it is asked for again")

    def put(self, certificate: Certificate) -> None:
        """Trust a certificate from now on, in place of the one before."""
        self.pinned = certificate
        if self._path is None:
            return
        entry = _PinFile(version=1, fingerprint=certificate.fingerprint, pem=certificate.pem)
        try:
            write_atomic(self._path, msgspec.json.encode(entry), backup=False)
            os.chmod(self._path, 0o600)
        except OSError as error:
            self._complain(
                f"the trusted certificate cannot be saved ({error.strerror or error}); it holds until the end"
            )

    def _complain(self, text: str) -> None:
        self.damage = text
        _log.warning("%s", text)


def _pinned(raw: bytes) -> Certificate:
    if len(raw) > _BIGGEST:
        raise ValueError("too long")
    entry = msgspec.json.decode(raw, type=_PinFile)
    certificate = Certificate.of(entry.pem)
    if entry.version != 1 or not same_fingerprint(certificate.fingerprint, entry.fingerprint):
        raise ValueError("the fingerprint is not that of the certificate")
    return certificate
