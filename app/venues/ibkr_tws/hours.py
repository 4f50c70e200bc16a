"""From TWS' text of trading hours to stretches in UTC.

`20261120:0400-20261120:2000;20261121:CLOSED`, in older ones `20180129:0930-1600`, in the exchange's time zone
(TWS API, contract details).
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo
from typing import Final

from app.domain.contracts import Session
from app.venues.ibkr_tws.numbers import epoch_ns, zone

_STRETCH: Final = re.compile(r"(\d{8}):(\d{4})-(?:(\d{8}):)?(\d{4})")
_MOST: Final = 400


def sessions(text: str, zone_name: str) -> tuple[Session, ...]:
    """Return the stretches of a text in time order; closed days and what cannot be read are left out."""
    where = zone(zone_name)
    if where is None:
        return ()
    found = []
    for part in re.split("[;,]", text)[:_MOST]:
        match = _STRETCH.fullmatch(part.strip())
        if match is None:
            continue
        first_day, first, last_day, last = match.groups()
        start, end = _moment(first_day, first, where), _moment(last_day or first_day, last, where)
        if start is None or end is None:
            continue
        if last_day is None and end <= start:
            end += timedelta(days=1)  # wall time of the next day, as the zone keeps it
        start_ns, end_ns = epoch_ns(start), epoch_ns(end)
        if end_ns > start_ns:
            found.append(Session(start_ns, end_ns))
    return tuple(sorted(found, key=lambda session: session.start_ns))


def _moment(day: str, clock: str, where: tzinfo) -> datetime | None:
    try:
        midnight = datetime(int(day[:4]), int(day[4:6]), int(day[6:]), tzinfo=where)
        hour, minute = int(clock[:2]), int(clock[2:])
        if hour == 24 and minute == 0:
            return midnight + timedelta(days=1)
        return midnight.replace(hour=hour, minute=minute)
    except ValueError:
        return None
