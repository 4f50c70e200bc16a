"""Make the desks of the sources that are switched on, each with its session, from the settings."""

from __future__ import annotations

import json
import logging
import random
from pathlib import Path
from typing import Final

from app.domain.account import Source
from app.domain.broker_health import BrokerHealth
from app.domain.clock import Clock
from app.paths import Paths
from app.services.brokerage import Brokerage
from app.services.desk import BrokerOutputs, Desk
from app.settings.files import write_atomic
from app.settings.store import Settings

_log = logging.getLogger("fathom.brokerage")
_CLIENT_IDS: Final = range(100, 1000)


def make_brokerage(settings: Settings, paths: Paths, clock: Clock, outputs: BrokerOutputs) -> Brokerage:
    """Return the desks of the sources that are switched on, TWS first; none of them has connected yet."""
    desks = []
    if settings.flag("ibkr.tws.enabled"):
        desks.append(_tws(settings, paths, clock, outputs))
    if settings.flag("ibkr.portal.enabled"):
        desks.append(_portal(settings, paths, clock, outputs))
    for desk in desks:
        desk.beta_against = settings.text("ibkr.beta_against").strip().upper()
    return Brokerage(desks, clock)


def _tws(settings: Settings, paths: Paths, clock: Clock, outputs: BrokerOutputs) -> Desk:
    from app.venues.ibkr_tws.options import TwsOptions
    from app.venues.ibkr_tws.session import TwsSession

    host, port = settings.text("ibkr.tws.host"), settings.whole("ibkr.tws.port")
    lines = settings.whole("ibkr.lines")
    health = BrokerHealth(source=Source.TWS, address=f"{host}:{port}", lines_limit=lines)
    desk = Desk(health, lines, outputs)
    options = TwsOptions(
        host=host,
        port=port,
        client_id=settings.whole("ibkr.tws.client_id") or client_id(paths.broker),
        delayed=settings.flag("ibkr.delayed"),
        lines_limit=lines,
    )
    desk.session = TwsSession(options, desk, health, clock)
    return desk


def _portal(settings: Settings, paths: Paths, clock: Clock, outputs: BrokerOutputs) -> Desk:
    from app.venues.ibkr_portal.options import PortalOptions
    from app.venues.ibkr_portal.session import PortalSession

    lines = settings.whole("ibkr.lines")
    url = settings.text("ibkr.portal.url")
    health = BrokerHealth(source=Source.PORTAL, address=url, lines_limit=lines)
    desk = Desk(health, lines, outputs)
    options = PortalOptions(
        url=url,
        fingerprint=settings.text("ibkr.portal.fingerprint"),
        pin_path=paths.gateway_certificate,
        bans_path=paths.bans,
        lines_limit=lines,
    )
    session = PortalSession(options, desk, health, clock)
    desk.session = session
    desk.trust, desk.take_over, desk.login_url = session.trust, session.take_over, session.login_url
    return desk


def client_id(path: Path) -> int:
    """Return the API client id of this profile: chosen once, so that TWS knows the program again."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))["client_id"]
        if type(known) is int and known in _CLIENT_IDS:
            return known
    except (OSError, ValueError, KeyError, TypeError):
        pass
    chosen = random.choice(_CLIENT_IDS)
    try:
        write_atomic(path, json.dumps({"version": 1, "client_id": chosen}).encode(), backup=False)
    except OSError as error:
        _log.warning("the API client id could not be saved: %s", error.strerror or error)
    return chosen
