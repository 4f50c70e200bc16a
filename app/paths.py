"""Where the program keeps its state: the platform's folders, or one folder given with --basedir."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Paths:
    """Folders and files of one profile; `create` makes the folders, readable by the user only."""

    base: Path

    @classmethod
    def of(cls, basedir: str | None, profile: str = "") -> Paths:
        """Return the paths below `basedir`, else below the platform's data folder; profile separates demo from live."""
        if basedir:
            root = Path(basedir).expanduser().absolute()
        else:
            from platformdirs import user_data_path

            root = user_data_path("fathom", appauthor=False)
        return cls(root / profile if profile else root)

    def create(self) -> None:
        """Make the folders; raise OSError when that fails."""
        for folder in (self.base, self.spool, self.books, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        if os.name == "posix":
            self.base.chmod(0o700)

    @property
    def settings(self) -> Path:
        """Settings file."""
        return self.base / "settings.json"

    @property
    def layouts(self) -> Path:
        """Window layouts."""
        return self.base / "layouts.json"

    @property
    def database(self) -> Path:
        """SQLite file of minutes and events."""
        return self.base / "history.sqlite"

    @property
    def spool(self) -> Path:
        """Minutes that wait for the database."""
        return self.base / "spool"

    @property
    def books(self) -> Path:
        """Remembered books."""
        return self.base / "books"

    @property
    def bans(self) -> Path:
        """REST bans that must outlive a restart."""
        return self.base / "bans.json"

    @property
    def alerts(self) -> Path:
        """Alert rules and their history."""
        return self.base / "alerts.json"

    @property
    def broker(self) -> Path:
        """What is kept about the broker's API: the client id."""
        return self.base / "ibkr.json"

    @property
    def gateway_certificate(self) -> Path:
        """The certificate of the Client Portal Gateway that the user trusts."""
        return self.base / "gateway.json"

    @property
    def server_token(self) -> Path:
        """Token of the local server."""
        return self.base / "server.token"

    @property
    def instruments(self) -> Path:
        """The venue's instruments as last listed."""
        return self.base / "instruments.json"

    @property
    def logs(self) -> Path:
        """Log files."""
        return self.base / "logs"


def resources() -> Path:
    """Return the folder of icons, themes and symbol lists: of the source tree, the wheel or the bundle."""
    bundle = getattr(sys, "_MEIPASS", None)
    if bundle is not None:
        return Path(bundle) / "resources"
    package = Path(__file__).parent
    installed = package / "_resources"
    return installed if installed.is_dir() else package.parent / "resources"
