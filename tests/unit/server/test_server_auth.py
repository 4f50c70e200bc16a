"""Host, Origin, token and cookie, without a socket."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers

from app.server.auth import Access, Caller, cookie_name, is_loopback, new_token, replace_token, stored_token
from app.server.wire import RequestError

TOKEN = new_token()
HOME = Caller(address="127.0.0.1", local_address="127.0.0.1", port=8765)
LAN = Caller(address="192.0.2.9", local_address="192.0.2.1", port=8765)


def headers(*pairs: tuple[str, str]) -> Headers:
    return Headers(list(pairs))


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8765", "localhost:8765", "LOCALHOST:8765", "[::1]:8765", " localhost:8765 "]
)
def test_the_own_names_are_accepted(host: str) -> None:
    assert Access(TOKEN).check_host(headers(("Host", host)), HOME) == host.strip().lower()


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40))
def test_no_other_name_is_accepted(host: str) -> None:
    if host.lower() in ("127.0.0.1:8765", "localhost:8765", "[::1]:8765"):
        return
    with pytest.raises(RequestError) as refused:
        Access(TOKEN).check_host(headers(("Host", host)), HOME)
    assert refused.value.status == 403


def test_beyond_loopback_the_address_called_and_configured_names_count() -> None:
    wide = Access(TOKEN, ("wall.example",), beyond_loopback=True)
    for host in ("192.0.2.1:8765", "wall.example:8765"):
        assert wide.check_host(headers(("Host", host)), LAN) == host
    for host in ("192.0.2.9:8765", "192.0.2.1", "example:8765"):
        with pytest.raises(RequestError):
            wide.check_host(headers(("Host", host)), LAN)
    with pytest.raises(RequestError):
        Access(TOKEN).check_host(headers(("Host", "192.0.2.1:8765")), LAN)
    six = Caller(address="fe80::2", local_address="fe80::1%eth0", port=8765)
    assert wide.check_host(headers(("Host", "[fe80::1]:8765")), six)


def test_the_usual_port_need_not_be_named() -> None:
    usual = Caller(address="127.0.0.1", local_address="127.0.0.1", port=80)
    assert Access(TOKEN).check_host(headers(("Host", "localhost")), usual) == "localhost"


def test_the_origin_is_absent_or_exactly_this_server() -> None:
    access = Access(TOKEN)
    assert not access.check_origin(headers(), "localhost:8765")
    assert access.check_origin(headers(("Origin", "http://localhost:8765")), "localhost:8765")
    assert access.check_origin(headers(("Origin", "http://LocalHost:8765")), "localhost:8765")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_any_other_origin_is_refused(origin: str) -> None:
    if origin.strip().lower() == "http://localhost:8765":
        return
    with pytest.raises(RequestError) as refused:
        Access(TOKEN).check_origin(headers(("Origin", origin)), "localhost:8765")
    assert refused.value.status == 403


@given(st.text(max_size=80))
def test_no_other_text_is_the_token(text: str) -> None:
    assert Access(TOKEN).is_token(text) == (text == TOKEN)


def test_the_cookie_is_neither_the_token_nor_that_of_another_port_or_token() -> None:
    access = Access(TOKEN)
    cookie = access.cookie_header(8765).partition(";")[0]
    assert access.knows(headers(("Cookie", f"a=b; {cookie}; c=d")), 8765)
    assert access.knows(headers(("Cookie", "a=b"), ("Cookie", cookie)), 8765)
    assert not access.knows(headers(("Cookie", cookie)), 8766)
    assert not access.knows(headers(("Cookie", f"{cookie_name(8765)}={TOKEN}")), 8765)
    assert not access.knows(headers(("Cookie", cookie + "x")), 8765)
    assert not Access(new_token()).knows(headers(("Cookie", cookie)), 8765)
    assert not access.is_token(cookie.partition("=")[2])


def test_only_a_bearer_token_in_the_header_counts() -> None:
    access = Access(TOKEN)
    assert access.knows(headers(("Authorization", f"bearer {TOKEN}")), 1)
    assert access.knows(headers(("Authorization", "Basic x"), ("Authorization", f"Bearer {TOKEN}")), 1)
    for value in (f"Basic {TOKEN}", TOKEN, "Bearer", f"Bearer {TOKEN}x", "Bearer \xff"):
        assert not access.knows(headers(("Authorization", value)), 1)


def test_tokens_are_long_and_differ() -> None:
    assert len({new_token() for _ in range(100)}) == 100
    assert all(len(new_token()) == 43 for _ in range(10))
    for bad in ("", "short", "x" * 15, "with space in it", "x" * 129, "töken-of-sixteen"):
        with pytest.raises(ValueError, match="expected a token"):
            Access(bad)


def test_a_token_file_is_private_from_its_first_byte_and_a_damaged_one_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "server.token"
    token = stored_token(file)
    assert stored_token(file) == token
    for damaged in (b"", b"short", b"\xff" * 50, b"a b" * 20):
        file.write_bytes(damaged)
        file.chmod(0o644)
        token = stored_token(file)
        assert file.read_text() == token
        if os.name == "posix":
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    assert stored_token(file) == token
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (file.parent / "server.token.new").write_text("left by a crash")
    assert replace_token(file) != token
    assert [path.name for path in file.parent.iterdir()] == ["server.token"]


def test_what_is_loopback() -> None:
    assert all(is_loopback(each) for each in ("127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"))
    assert not any(is_loopback(each) for each in ("192.0.2.1", "::", "", "localhost.example", "10.0.0.1"))
