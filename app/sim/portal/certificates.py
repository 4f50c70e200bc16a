"""Makes the self-signed certificate of the simulated gateway: turns a wish (fresh, kept, expired) into a TLS context.

The real gateway ships one of its own making as well; clients can do no more than pin it.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LIFE = datetime.timedelta(days=730)
_A_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its key, both as PEM; `fingerprint` is the SHA-256 of the certificate in hex."""

    certificate_pem: str
    key_pem: str
    fingerprint: str


def make_certificate(*, expired: bool = False, common_name: str = "localhost") -> Certificate:
    """Make a key and a certificate for localhost and 127.0.0.1 that has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Simulated Client Portal Gateway"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    ends = datetime.datetime.now(datetime.UTC) + (-_A_DAY if expired else _LIFE)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ends - _LIFE - _A_DAY)
        .not_valid_after(ends)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Certificate(
        made.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        made.fingerprint(hashes.SHA256()).hex(),
    )


def kept_certificate(path: Path, *, expired: bool = False) -> Certificate:
    """Return the certificate a file keeps, after making one where there is no file."""
    if path.exists():
        text = path.read_text(encoding="ascii")
        made = x509.load_pem_x509_certificate(text.encode())
        begins = text.index("-----BEGIN PRIVATE KEY-----")
        return Certificate(text[:begins], text[begins:], made.fingerprint(hashes.SHA256()).hex())
    certificate = make_certificate(expired=expired)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(certificate.certificate_pem + certificate.key_pem)
    return certificate


def install(context: ssl.SSLContext, certificate: Certificate) -> None:
    """Let every handshake from now on show this certificate; it touches the disk for a moment, as `ssl` wants files."""
    descriptor, name = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(certificate.certificate_pem + certificate.key_pem)
        context.load_cert_chain(name)
    finally:
        os.unlink(name)


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """Return a context that serves HTTP/1.1 only, with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0  # who comes again looks at the certificate again
    context.options |= ssl.OP_NO_TICKET
    install(context, certificate)
    return context
