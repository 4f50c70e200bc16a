"""The simulated gateway's certificate: made at start, kept on wish, expired on wish, shown on the one port."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import stat
import tempfile
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID

from app.sim.portal import PortalSim
from app.sim.portal.certificates import kept_certificate, make_certificate, server_context
from tests.loopback.sim_portal_rig import rig_of


def test_a_certificate_is_for_this_machine_and_has_signed_itself() -> None:
    made = make_certificate()
    read = x509.load_pem_x509_certificate(made.certificate_pem.encode())
    names = read.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    assert isinstance(names, x509.SubjectAlternativeName)
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert read.issuer == read.subject
    assert isinstance(read.public_key(), ec.EllipticCurvePublicKey)
    assert made.fingerprint == hashlib.sha256(ssl.PEM_cert_to_DER_cert(made.certificate_pem)).hexdigest()
    assert make_certificate().fingerprint != made.fingerprint


def test_a_certificate_can_be_kept_in_a_file_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "gateway.pem"
    first = kept_certificate(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert kept_certificate(path) == first


def test_the_key_leaves_nothing_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    server_context(make_certificate())
    assert list(tmp_path.iterdir()) == []


async def test_a_restart_has_another_certificate_unless_it_is_kept(tmp_path: Path) -> None:
    async with PortalSim(auto=False) as one, PortalSim(auto=False) as two:
        assert one.fingerprint != two.fingerprint
    path = tmp_path / "kept.pem"
    async with PortalSim(auto=False, key_file=path) as one, PortalSim(auto=False, key_file=path) as two:
        assert one.addresses()["fingerprint"] == two.addresses()["fingerprint"]


async def test_an_expired_certificate_is_refused_even_when_it_is_pinned() -> None:
    async with rig_of(expired_certificate=True) as rig:
        with pytest.raises(httpx.ConnectError, match="expired"):
            await rig.post("/tickle")


async def test_plain_http_is_not_answered_on_the_port() -> None:
    async with rig_of() as rig, httpx.AsyncClient() as plain:
        with pytest.raises(httpx.TransportError):
            await plain.get(rig.sim.url.replace("https", "http"))
        assert (await rig.post("/tickle")).status_code == 200


async def test_one_connection_carries_many_requests_and_a_client_may_leave_in_the_middle() -> None:
    async with rig_of() as rig:
        for _ in range(20):
            assert (await rig.post("/tickle")).status_code == 200
        assert rig.sim._web.counts["connections"] == 1
        port = int(rig.sim.url.rpartition(":")[2])
        for raw in (b"POST /v1/api/tickle HTTP/1.1\r\nContent-Length: 10\r\n\r\n{", b"GET", b"\x00\x01\r\n\r\n"):
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=rig.context)
            writer.write(raw)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        assert (await rig.post("/tickle")).status_code == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /v1/api/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", b"400"),
        (b"POST /v1/api/tickle HTTP/1.1\r\nContent-Length: many\r\n\r\n", b"400"),
        (b"POST /v1/api/tickle HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413"),
    ],
)
async def test_a_bad_head_is_answered_and_ends_the_connection(head: bytes, status: bytes) -> None:
    async with rig_of() as rig:
        port = int(rig.sim.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=rig.context)
        writer.write(head)
        answer = await reader.read()
        assert answer.split(b" ", 2)[1] == status
        writer.close()
        await writer.wait_closed()
