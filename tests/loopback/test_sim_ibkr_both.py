"""Both ways to the simulated broker over one account, and the programs `sim portal` and `sim ibkr`."""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from ib_async import IB

from app.domain.errors import FathomError
from app.sim import portal
from app.sim.fault_text import FaultError
from app.sim.ibkr import both
from app.sim.ibkr.both import BothSim, BothSimOptions
from app.sim.portal import PortalSimOptions
from app.sim.tws import TwsSimOptions

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "DU1234567"


def options(*words: str) -> BothSimOptions:
    parser = argparse.ArgumentParser()
    both.add_arguments(parser)
    return both.options_from(parser.parse_args(words))


def gateway_options(*words: str) -> PortalSimOptions:
    parser = argparse.ArgumentParser()
    portal.add_arguments(parser)
    return portal.options_from(parser.parse_args(words))


def test_options_of_both_come_from_one_command_line() -> None:
    chosen = options("--seed", "5", "--live", "--two-accounts", "--market-hours", "--logged-out", "--penalty", "20")
    assert (chosen.seed, chosen.tws.seed, chosen.portal.seed) == (5, 5, 5)
    assert chosen.tws.accounts == chosen.portal.accounts == ("U7654321", "DU7654321")
    assert (chosen.portal.always_open, chosen.portal.logged_in, chosen.portal.limits.penalty_s) == (False, False, 20.0)
    assert (options("--port", "7000").tws.port, options("--port", "7000").portal.port) == (7000, 7002)
    for words in (["--port", "65533"], ["--seed", "-1"], ["--penalty", "-2"]):
        with pytest.raises(FathomError):
            options(*words)


def test_options_of_the_gateway_come_from_the_command_line(tmp_path: Path) -> None:
    chosen = gateway_options(
        "--competing", "--expired-certificate", "--key-file", str(tmp_path / "k.pem"), "--fault", "slow:3,20@5"
    )
    assert (chosen.competing, chosen.expired_certificate, chosen.key_file) == (True, True, tmp_path / "k.pem")
    assert [(each.fault.name, each.at_s) for each in chosen.faults] == [("slow", 5.0)]
    for words in (["--port", "65535"], ["--seed", "-1"], ["--rate", "100"], ["--smd-life", "-1"]):
        with pytest.raises(FathomError):
            gateway_options(*words)


def test_a_fault_goes_to_the_side_it_names_or_to_who_knows_it() -> None:
    def sides(text: str) -> tuple[bool, bool]:
        fault = both.read_fault(text).fault
        return fault.tws is not None, fault.portal is not None

    assert sides("tws/drop@3") == (True, False)
    assert sides("portal/drop@3") == (False, True)
    assert sides("drop@3") == (True, True)
    assert sides("restart:8@20") == (True, False)
    assert sides("penalty:8@20") == (False, True)
    for text in ("elsewhere/drop@3", "nonsense@3", "tws/penalty@3", "drop"):
        with pytest.raises(FaultError):
            both.read_fault(text)


async def test_both_sides_tell_the_same_account() -> None:
    usual = BothSimOptions(tws=TwsSimOptions(), portal=PortalSimOptions(), rate=0.0, auto=False)
    async with BothSim(usual) as sim:
        ib = IB()
        context = ssl.create_default_context(cadata=sim.portal.certificate_pem)
        async with httpx.AsyncClient(base_url=f"{sim.portal.url}/v1/api", verify=context) as http:
            await ib.connectAsync("127.0.0.1", sim.tws.port, clientId=5, readonly=True, timeout=5)
            try:
                await http.get("/portfolio/accounts")
                rows = (await http.get(f"/portfolio2/{ACCOUNT}/positions")).json()
                held = {each.contract.conId: each.position for each in ib.positions(ACCOUNT)}
                assert {int(row["conid"]): row["position"] for row in rows} == held
                assert held
                order = sim.world.begin_order(265598, "BUY", 10.0)
                sim.step(80)
                rows = (await http.get(f"/portfolio2/{ACCOUNT}/positions")).json()
                now = next(row["position"] for row in rows if row["conid"] == "265598")
                assert now == held[265598] + 10.0
                assert order.status == "Filled"
            finally:
                ib.disconnect()


async def test_the_shared_control_address_reaches_both() -> None:
    usual = BothSimOptions(tws=TwsSimOptions(), portal=PortalSimOptions(), rate=0.0)
    async with BothSim(usual) as sim, httpx.AsyncClient(base_url=sim.addresses()["control"]) as control:
        assert (await control.post("/fault", params={"name": "portal/penalty", "duration": 5})).status_code == 200
        assert (await control.post("/fault", params={"name": "calm"})).status_code == 200
        assert (await control.post("/fault", params={"name": "tws/penalty"})).status_code == 400
        state = (await control.get("/state")).json()
        assert state["tws"]["faults"] == {"calm": 1}
        assert state["portal"]["faults"] == {"penalty": 1, "calm": 1}
        assert (await control.post("/logout")).json() == {"done": "logout"}
        assert sim.portal.session.logged_in is False
        assert (await control.post("/pause")).json() == {"paused": True}
        then = sim.world.now_s
        await asyncio.sleep(0.2)
        assert sim.world.now_s == then


@pytest.mark.parametrize("word", ["portal", "ibkr"])
def test_the_program_announces_itself_ends_with_its_parent_and_says_when_an_order_came(word: str) -> None:
    keys = {"url", "fingerprint", "control"}
    if word == "ibkr":
        keys |= {"host", "port", "tws_control", "portal_control"}
    for asks_for_an_order in (False, True):
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "main.py"), "sim", word, "--port", "0", "--json", "--die-with-stdin"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert process.stdout is not None
        addresses = json.loads(process.stdout.readline())
        assert set(addresses) == keys
        pem = httpx.get(f"{addresses['control']}/certificate").text
        context = ssl.create_default_context(cadata=pem)
        with httpx.Client(base_url=f"{addresses['url']}/v1/api", verify=context) as http:
            assert http.post("/tickle").status_code == 200
            if asks_for_an_order:
                assert http.post(f"/iserver/account/{ACCOUNT}/orders", json={"orders": []}).status_code == 403
        _, errors = process.communicate(input="", timeout=30)
        assert (process.returncode != 0) is asks_for_an_order
        assert ("could trade" in errors) is asks_for_an_order
