"""The gateway's certificate: what is trusted, what is refused, and how the trusted one is kept."""

from __future__ import annotations

import datetime
import json
import os
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.domain.errors import FatalFeedError
from app.venues.ibkr_portal.tls import (
    Certificate,
    Gateway,
    PinStore,
    Trust,
    explain_trust,
    hex_pairs,
    judge,
    pinned_context,
    same_fingerprint,
)

NOON = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)
NOON_NS = int(NOON.timestamp()) * 10**9
DAY = datetime.timedelta(days=1)


def certificate(name: str = "gateway", begins: datetime.datetime = NOON - DAY, days: int = 30) -> Certificate:
    """Make a certificate that has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + days * DAY)
        .sign(key, hashes.SHA256())
    )
    return Certificate.of(made.public_bytes(serialization.Encoding.PEM).decode())


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://localhost:5000", "localhost:5000"),
        ("https://127.0.0.1:5001/", "127.0.0.1:5001"),
        ("https://[::1]:5000/v1/api", "[::1]:5000"),
        ("https://localhost", "localhost:5000"),
    ],
)
def test_addresses_of_this_computer(url: str, place: str) -> None:
    gateway = Gateway.of(url)
    assert gateway.place == place
    assert gateway.rest_url == f"https://{place}/v1/api"
    assert gateway.socket_url == f"wss://{place}/v1/api/ws"


@pytest.mark.parametrize(
    "url",
    [
        "https://192.168.1.5:5000",
        "https://example.com",
        "https://localhost.example.com:5000",
        "https://127.0.0.1.example.com",
        "https://localhost@example.com:5000",
        "https://user:secret@localhost:5000",
        "http://localhost:5000",
        "localhost:5000",
        "https://localhost:99999",
        "https://0.0.0.1:5000",
        "",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(FatalFeedError, match="this computer") as refused:
        Gateway.of(url)
    assert "secret" not in str(refused.value)


def test_fingerprints_are_compared_however_they_are_written() -> None:
    seen = certificate().fingerprint
    assert len(seen) == 95
    assert same_fingerprint(seen, seen.replace(":", "").lower())
    assert same_fingerprint(seen, seen.replace(":", " "))
    assert not same_fingerprint(seen, "")
    assert not same_fingerprint("", "")
    assert not same_fingerprint(seen[:-3], seen[:-3])
    assert hex_pairs("ab cd") == "AB:CD"


def test_what_a_certificate_is() -> None:
    one, other = certificate("one"), certificate("other")
    assert judge(one, "", None, NOON_NS) is Trust.FIRST
    assert judge(one, one.fingerprint.lower(), None, NOON_NS) is Trust.TRUSTED
    assert judge(one, "", one, NOON_NS) is Trust.TRUSTED
    assert judge(one, "", other, NOON_NS) is Trust.CHANGED
    assert judge(one, other.fingerprint, None, NOON_NS) is Trust.CHANGED
    assert judge(one, one.fingerprint, other, NOON_NS) is Trust.TRUSTED
    assert judge(one, other.fingerprint, one, NOON_NS) is Trust.TRUSTED


def test_an_expired_or_future_certificate_is_refused_even_when_it_is_trusted() -> None:
    old = certificate(begins=NOON - 40 * DAY, days=30)
    early = certificate(begins=NOON + DAY)
    assert judge(old, old.fingerprint, old, NOON_NS) is Trust.EXPIRED
    assert judge(early, "", early, NOON_NS) is Trust.EARLY
    assert "expired on 10 Nov 2026" in explain_trust(Trust.EXPIRED, old, "", "localhost:5000")
    assert "clock" in explain_trust(Trust.EARLY, early, "", "localhost:5000")


def test_a_change_is_told_with_both_fingerprints() -> None:
    old, new = certificate("old"), certificate("new")
    said = explain_trust(Trust.CHANGED, new, old.fingerprint, "localhost:5000")
    assert old.fingerprint in said
    assert new.fingerprint in said


def test_the_context_accepts_one_certificate_and_checks_always() -> None:
    seen = certificate()
    context = pinned_context(seen)
    assert context.verify_mode is ssl.CERT_REQUIRED
    (trusted,) = context.get_ca_certs(binary_form=True) or [ssl.PEM_cert_to_DER_cert(seen.pem)]
    assert trusted == ssl.PEM_cert_to_DER_cert(seen.pem)
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT


def test_the_trusted_certificate_is_kept_for_the_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "gateway.json"
    store = PinStore(file)
    store.load()
    assert (store.pinned, store.damage) == (None, "")
    seen = certificate()
    store.put(seen)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = PinStore(file)
    again.load()
    assert again.pinned == seen


@pytest.mark.parametrize("damage", ["text", "other", "long", "empty", "version"])
def test_a_damaged_file_is_renamed_and_told(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "gateway.json"
    store = PinStore(file)
    store.put(certificate())
    entry = json.loads(file.read_bytes())
    content = {
        "text": b"\xff not json",
        "other": json.dumps({**entry, "fingerprint": certificate().fingerprint}).encode(),
        "long": b" " * 70_000 + file.read_bytes(),
        "empty": b"",
        "version": json.dumps({**entry, "version": 2}).encode(),
    }[damage]
    file.write_bytes(content)
    again = PinStore(file)
    again.load()
    assert again.pinned is None
    assert "damaged" in again.damage
    assert not file.exists()
    (kept,) = tmp_path.glob("*.broken*")
    assert kept.read_bytes() == content


def test_a_folder_that_cannot_be_written_is_told_and_trust_holds_for_the_run(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("no folder")
    store = PinStore(blocker / "gateway.json")
    store.put(certificate())
    assert store.pinned is not None
    assert "cannot be saved" in store.damage


def test_without_a_path_it_is_kept_in_memory(tmp_path: Path) -> None:
    store = PinStore(None)
    store.load()
    seen = certificate()
    store.put(seen)
    assert store.pinned is seen
    assert os.listdir(tmp_path) == []


def test_a_text_that_is_no_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match=r".+"):
        Certificate.of("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
