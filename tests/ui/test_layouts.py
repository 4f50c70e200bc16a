"""The layout file: what was saved comes back, and nothing in the file can stop the program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.storage.layouts import LayoutDocument, LayoutRecord, LayoutStore, PanelRecord

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_STATES = st.dictionaries(st.text(max_size=8), _VALUES, max_size=3)
_PANELS = st.builds(PanelRecord, kind=st.text(min_size=1, max_size=8), instance=st.integers(1, 99), state=_STATES)
_LAYOUTS = st.builds(LayoutRecord, panels=st.lists(_PANELS, max_size=3).map(tuple), docks=st.binary(max_size=40))
_DOCUMENTS = st.builds(
    LayoutDocument,
    layouts=st.dictionaries(st.text(max_size=8), _LAYOUTS, max_size=3),
    active=st.text(max_size=8),
    geometry=st.binary(max_size=40),
    options=_STATES,
)


@pytest.fixture
def store(tmp_path: Path) -> LayoutStore:
    return LayoutStore(tmp_path / "profile" / "layout.json")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(document=_DOCUMENTS)
def test_every_document_comes_back_as_it_was(store: LayoutStore, document: LayoutDocument) -> None:
    store.save(document)
    assert store.load() == (document, None)


def test_no_file_means_the_default_without_a_word(store: LayoutStore) -> None:
    assert store.load() == (None, None)


def test_the_file_before_is_kept_as_a_backup(store: LayoutStore) -> None:
    store.save(LayoutDocument(active="one"))
    store.save(LayoutDocument(active="two"))
    assert LayoutStore(store.path.with_suffix(".json.bak")).load()[0] == LayoutDocument(active="one")
    assert sorted(path.name for path in store.path.parent.iterdir()) == ["layout.json", "layout.json.bak"]


_BROKEN = [
    b"",
    b"\xff\xfe\x00",
    b"[]",
    b"{",
    b"null",
    b"[" * 5000,
    json.dumps({"schema": 2}).encode(),
    json.dumps({"schema": 1}).encode(),
    json.dumps({"schema": 1, "layouts": {"a": {"panels": [{"kind": 1, "instance": 1}]}}}).encode(),
    json.dumps({"schema": 1, "layouts": {"a": {"panels": [{"kind": "x", "instance": True}]}}}).encode(),
    json.dumps({"schema": 1, "layouts": {"a": {"docks": "%%", "panels": []}}}).encode(),
    json.dumps({"schema": 1, "layouts": {}, "geometry": 4}).encode(),
]


@pytest.mark.parametrize("content", _BROKEN)
def test_a_broken_file_is_renamed_and_told_in_a_sentence(store: LayoutStore, content: bytes) -> None:
    store.path.parent.mkdir(parents=True)
    store.path.write_bytes(content)
    document, notice = store.load()
    assert document is None
    assert notice is not None
    assert notice.endswith("the default layout is used.")
    kept = [path for path in store.path.parent.iterdir() if ".broken" in path.name]
    assert [path.read_bytes() for path in kept] == [content]
    assert kept[0].name in notice
    assert store.load() == (None, None)


@given(content=st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_random_bytes_never_raise(store: LayoutStore, content: bytes) -> None:
    store.path.parent.mkdir(parents=True, exist_ok=True)
    store.path.write_bytes(content)
    assert store.load()[0] is None


def test_a_file_that_cannot_be_read_is_told_and_left_alone(store: LayoutStore) -> None:
    store.path.mkdir(parents=True)
    document, notice = store.load()
    assert document is None
    assert notice is not None
    assert "could not be read" in notice
    assert store.path.is_dir()
