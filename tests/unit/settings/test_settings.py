"""Settings: bounds with sentences, files that may be damaged, nothing secret shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import SettingsError
from app.settings.files import set_aside, write_atomic
from app.settings.schema import BY_KEY, SETTINGS, setting
from app.settings.store import Settings, mask_url


def test_every_default_is_within_its_own_bounds_and_explained() -> None:
    for each in SETTINGS:
        assert each.check(each.default) == each.default
        assert len(each.help) > 10
    assert len(BY_KEY) == len(SETTINGS)


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("books.sample_ms=50", "expected 100 to 1000 ms"),
        ("books.sample_ms=fast", "whole number"),
        ("books.remember=maybe", "true or false"),
        ("ui.theme=pink", "one of dark, light"),
        ("books.nothing=1", "unknown setting"),
        ("books.sample_ms", "key=value"),
        ("binance.stale_after=nan", "expected 1 to 60"),
        ("binance.stale_after=inf", "expected 1 to 60"),
    ],
)
def test_a_wrong_assignment_is_a_sentence(assignment: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Settings().override([assignment])


def test_overrides_win_and_are_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    settings = Settings(path)
    settings.set("books.sample_ms", 500)
    settings.override(["books.sample_ms=300", "ui.theme=light"])
    assert settings.whole("books.sample_ms") == 300
    settings.save()
    again = Settings(path)
    assert again.whole("books.sample_ms") == 500
    assert again.text("ui.theme") == "dark"


def test_one_bad_value_costs_only_itself_and_unknown_keys_stay(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"version": 1, "values": {"books.sample_ms": 7, "ui.theme": "light", "new.key": 5}}))
    settings = Settings(path)
    assert settings.whole("books.sample_ms") == 200
    assert settings.text("ui.theme") == "light"
    assert len(settings.notes) == 1
    settings.save()
    assert json.loads(path.read_text())["values"]["new.key"] == 5


@given(data=st.binary(max_size=200))
def test_any_damage_gives_defaults_and_keeps_the_file(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("settings")
    path = folder / "settings.json"
    path.write_bytes(data)
    settings = Settings(path)
    assert settings.whole("books.sample_ms") == 200
    assert settings.notes
    kept = list(folder.glob("settings.*.broken.json"))
    assert [file.read_bytes() for file in kept] == [data]


def test_a_crash_between_write_and_rename_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def fail(*_args: object) -> None:
        raise OSError("no")

    monkeypatch.setattr("app.settings.files.os.replace", fail)
    with pytest.raises(OSError, match="no"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    monkeypatch.undo()
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.with_name("file.bak").read_bytes() == b"old"
    assert set_aside(tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "postgresql+psycopg://me:hunter2@db.example:5432/fathom",
            "postgresql+psycopg://me:***@db.example:5432/fathom",
        ),
        ("redis://:hunter2@127.0.0.1/0", "redis://:***@127.0.0.1/0"),
        ("sqlite:////var/x.sqlite", "sqlite:////var/x.sqlite"),
        ("redis://[hunter2", "***"),
    ],
)
def test_passwords_are_masked(url: str, shown: str) -> None:
    assert mask_url(url) == shown
    settings = Settings()
    settings.override([f"redis.url={url}"])
    assert "hunter2" not in json.dumps(settings.describe())


def test_unknown_keys_name_their_neighbours() -> None:
    with pytest.raises(SettingsError, match=r"redis\.url"):
        setting("redis.uri")


def test_a_secret_that_is_no_url_is_not_described_at_all() -> None:
    settings = Settings()
    settings.override(["server.token=correct-horse-battery", "redis.url=redis://me:hidden@127.0.0.1:6379/0"])
    shown = {entry["key"]: entry["value"] for entry in settings.describe()}
    assert shown["server.token"] == "***"
    assert shown["redis.url"] == "redis://me:***@127.0.0.1:6379/0"
    assert shown["database.url"] == ""
