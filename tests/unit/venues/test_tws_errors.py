from __future__ import annotations

import pytest

from app.domain.account import Severity
from app.venues.ibkr_tws import errors
from app.venues.ibkr_tws.account import judge_paper

INFO, RESTORED, DEGRADED = Severity.INFO, Severity.RESTORED, Severity.DEGRADED
FAILED, CONFLICT, LOST = Severity.FAILED, Severity.CONFLICT, Severity.LOST


@pytest.mark.parametrize(
    ("severity", "codes"),
    [
        (INFO, (2104, 2106, 2158, 2107, 2108, 2119, 321, 165, 2150, 105, 110, 329, 399, 404, 434, 492, 201, 203)),
        (DEGRADED, (2103, 2105, 2157, 2110, 10167)),
        (RESTORED, (1101, 1102)),
        (FAILED, (200, 162, 354, 10090, 10089, 366, 10186, 10168, 420, 100, 101, 10190, 10299, 99999)),
        (CONFLICT, (10197, 326)),
        (LOST, (1100, 1300, 502, 503, 504, 507, 10038, 10182)),
    ],
)
def test_every_code_of_the_sheet_has_its_class_and_a_sentence(severity: Severity, codes: tuple[int, ...]) -> None:
    for code in codes:
        said = errors.notice(code, "text")
        assert said.severity is severity, code
        assert said.advice.endswith("."), code
        assert len(said.advice.split()) > 3, code


def test_a_notice_carries_no_account_id() -> None:
    assert "DU1234567" not in errors.notice(321, "The account DU1234567 is not allowed").text


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (2104, "Market data farm connection is OK:usfarm", ("usfarm", True)),
        (2103, "Market data farm connection is broken:usfarm.nj", ("usfarm.nj", False)),
        (2106, "HMDS data farm connection is OK:ushmds", ("ushmds", True)),
        (2158, "Sec-def data farm connection is OK:secdefnj", ("secdefnj", True)),
        (
            2107,
            "HMDS data farm connection is inactive but should be available upon demand.ushmds",
            ("ushmds", None),
        ),
        (2119, "Market data farm is connecting:usfuture", ("usfuture", None)),
        (2157, "Sec-def data farm connection is broken:secdefil", ("secdefil", False)),
        (2105, "HMDS data farm connection is broken", ("farm 2105", False)),
        (1100, "Connectivity between IBKR and Trader Workstation has been lost.", None),
    ],
)
def test_farms(code: int, text: str, expected: tuple[str, bool | None] | None) -> None:
    assert errors.farm(code, text) == expected


def test_read_only_is_told_from_other_refusals_of_questions() -> None:
    text = "Error validating request.-'bK' : cause - The API interface is currently in Read-Only mode."
    assert errors.is_read_only(321, text)
    assert not errors.is_read_only(321, "Error validating request.-'bW' : cause - Incorrect generic tick list")
    assert not errors.is_read_only(322, text)


@pytest.mark.parametrize(
    ("accounts", "port", "paper", "words"),
    [
        (("DU1234567",), 7497, True, "port 7497 is the paper one of TWS"),
        (("DU1234567",), 7496, True, "but port 7496 is the live one of TWS by default"),
        (("U1234567",), 4001, False, "port 4001 is the live one of IB Gateway"),
        (("U1234567",), 4002, False, "but port 4002 is the paper one of IB Gateway by default"),
        (("U1234567", "U2"), 5555, False, "port 5555 is not one of the usual ones"),
        (("X1",), 7497, None, "unusual"),
        (("DU1", "U1"), 7496, None, "mixed"),
        ((), 7496, None, "no account"),
    ],
)
def test_paper_is_judged_by_ids_and_port(accounts: tuple[str, ...], port: int, paper: bool | None, words: str) -> None:
    found, why = judge_paper(accounts, port)
    assert found is paper
    assert words in why
