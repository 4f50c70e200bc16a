"""Turns the clients of the local server into a table."""

from __future__ import annotations

from app.ui import zone
from app.ui.models.rows import RowsTable
from app.viewmodels import formats
from app.viewmodels.server import ClientInfo


class ClientTable(RowsTable[ClientInfo]):
    """One row per client."""

    header = ("Client", "Page", "Since", "Topics", "Frames/s", "Lag", "Left out", "Sent")
    words = 2

    def show_clients(self, clients: tuple[ClientInfo, ...]) -> None:
        """Take the clients."""
        self.show_rows(clients, same=len(clients) == len(self.rows))

    def cells(self, row: int) -> tuple[str, ...]:
        """Return the texts of a client."""
        client = self.rows[row]
        return (
            client.address,
            client.path,
            formats.clock_text(client.since_ns, zone.current()),
            formats.count(client.subscriptions),
            f"{client.rate:.1f}",
            formats.milliseconds(client.lag_ms),
            formats.count(client.conflated),
            f"{formats.volume(client.bytes)}B",
        )
