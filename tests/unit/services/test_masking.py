"""What may be passed on of a text: never account ids, user names, tokens or passwords; everything else as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.masking import masked, masked_account

HOME = Path("/home/anna")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("account DU1234567, then U7654321F", "account DU•••67, then U•••1F"),
        ("redis://me:p@ss@host:1/0 is away", "redis://•••@host:1/0 is away"),
        ("postgresql+psycopg://u:p@h/db?password=xx", "postgresql+psycopg://•••@h/db?password=•••"),
        ("/home/anna/data and /home/annabel/x", "~/data and /home/•••/x"),
        (r"C:\Users\Eve\AppData and /Users/bob/.local", r"C:\Users\•••\AppData and /Users/•••/.local"),
        ("http://127.0.0.1:1/?token=abc&view=1", "http://127.0.0.1:1/?token=•••&view=1"),
        ('{"session":"4f5e","ssoExpires":1}', '{"session":•••,"ssoExpires":1}'),
        ('Cookie: api={"session":"x"}', "Cookie: •••"),
        ("Authorization: Bearer abcdefghijk", "Authorization: •••"),
    ],
)
def test_what_names_or_opens_something_is_masked(text: str, expected: str) -> None:
    assert masked(text, home=HOME) == expected
    assert masked(expected, home=HOME) == expected, "twice changes nothing"


@pytest.mark.parametrize(
    "text",
    [
        "AB:CD:EF:12:34 is its fingerprint",
        "no session: nobody is logged in",
        "Build 10.25.0a, Nov 14 2026 4:46:34 PM",
        "127.0.0.1:7497 answers, API version 178",
        "DU12 is no account id",
    ],
)
def test_plain_words_stay(text: str) -> None:
    assert masked(text, home=HOME) == text


def test_known_accounts_are_masked_whatever_they_look_like() -> None:
    assert masked("Family9 and Family99", accounts=("Family9", ""), home=HOME) == "Fa•••y9 and Family99"


@pytest.mark.parametrize(
    ("account", "expected"), [("DU1234567", "DU•••67"), ("U7654321", "U•••21"), ("U12", "U•••"), ("", "•••")]
)
def test_little_of_an_account_is_seen(account: str, expected: str) -> None:
    assert masked_account(account) == expected
