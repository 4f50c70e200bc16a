"""From raw frames and answers of the gateway to broker events and quotes; keeps what changes are merged into. Pure."""

from __future__ import annotations

from app.venues.ibkr_portal.intake.account import PAGE_ROWS
from app.venues.ibkr_portal.intake.portal import PortalIntake
from app.venues.ibkr_portal.intake.taken import Taken

__all__ = ["PAGE_ROWS", "PortalIntake", "Taken"]
