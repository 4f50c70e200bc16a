"""The page under attack: names made by an enemy, pages of strangers, and what its own policy forbids."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import web_browser
from web_browser import Browser
from web_program import HOSTILE
from web_serving import Served, serving, strangers_page

pytestmark = pytest.mark.skipif(bool(web_browser.missing()), reason=web_browser.missing() or "there")

PAGE = Path(__file__).resolve().parents[2] / "resources" / "web"
LIVE = "return document.documentElement.dataset.link === 'live'"
PICTURE = "<img src=x onerror=window.hacked=1>"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as program:
        yield program


@pytest.fixture(scope="module")
def window(served: Served) -> Iterator[Browser]:
    with web_browser.browser() as one:
        one.open(served.link)
        yield one


@pytest.fixture
def page(window: Browser, served: Served) -> Browser:
    window.open(f"{served.url}/?view=feeds")
    window.wait(LIVE)
    window.log()
    return window


def assert_unharmed(page: Browser) -> None:
    assert page.run("return window.hacked === undefined")
    assert (
        page.run("return document.querySelectorAll('main img, main script, main svg, #bar img, #notice img').length")
        == 0
    )
    assert page.log() == []


# -- hostile text --------------------------------------------------------------------------------------------------


def test_symbols_named_like_markup_are_shown_as_text(page: Browser, served: Served) -> None:
    page.open(f"{served.url}/?view=scanner&market=spot&top=200")
    page.wait("return document.querySelectorAll('.scanner tbody tr').length > 30")
    names = page.run("return [...document.querySelectorAll('.scanner .pick')].map((node) => node.textContent)")
    shown = [name[:29] for name in HOSTILE[:3]]
    assert [name for name in shown if not any(each.startswith(name) for each in names)] == []
    assert "ABC·TDSU" in names, "a character that turns the reading direction is made visible"
    assert_unharmed(page)


def test_a_hostile_alert_and_reason_are_shown_as_text(page: Browser, served: Served) -> None:
    served.tell(f"red {PICTURE}")
    page.open(f"{served.url}/?view=wall&tiles=alerts,feeds")
    page.wait("const said = document.querySelector('.feed-reason'); return said && said.textContent")
    served.tell(f"alert {PICTURE}")
    page.wait("return document.querySelector('.alert-list li')")
    assert PICTURE in page.text(".alert-list")
    assert PICTURE in page.text(".feed-list")
    assert_unharmed(page)


@pytest.mark.parametrize(
    "query",
    ["view={}", "venue={}", "view=wall&tiles={}", "view=coin&symbol={}", "view=scanner&filter={}", "view={}-delta"],
)
def test_an_address_made_by_an_enemy_is_shown_as_text(page: Browser, served: Served, query: str) -> None:
    page.open(f"{served.url}/?{query.format(quote(PICTURE))}")
    page.wait(LIVE)
    assert_unharmed(page)


def test_a_hostile_symbol_can_be_picked_and_comes_to_no_harm(page: Browser, served: Served) -> None:
    page.open(f"{served.url}/?view=scanner&market=spot&top=200&filter={quote('<svg')}")
    page.wait("return document.querySelectorAll('.scanner tbody tr').length === 1")
    page.click(".scanner .pick")
    page.wait("return document.querySelector('.book')")
    page.wait(LIVE)
    page.log()  # the server may well have no book of that name
    assert page.run("return window.hacked === undefined && !document.querySelector('main svg')")


# -- policy --------------------------------------------------------------------------------------------------------


def test_the_policy_of_every_file_forbids_all_that_is_not_the_pages_own(served: Served) -> None:
    for name in ["", *(path.name for path in PAGE.iterdir())]:
        answer = httpx.get(f"{served.url}/{name}", trust_env=False)
        assert answer.status_code == 200, name
        policy = answer.headers["content-security-policy"]
        for part in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:"):
            assert part in policy
        assert "unsafe" not in policy


def test_the_policy_stops_scripts_styles_and_connections_of_others(page: Browser) -> None:
    page.run("""
        const script = document.createElement('script');
        script.textContent = 'window.hacked = 1';
        document.body.append(script);
        document.body.setAttribute('onclick', 'window.hacked = 1');
        document.body.click();
        await fetch('http://127.0.0.1:9/').catch(() => null);""")
    said = " ".join(page.log())
    assert "Content Security Policy" in said
    assert "script-src" in said
    assert "connect-src" in said
    assert page.run("return window.hacked === undefined")


def test_no_file_of_the_page_can_make_markup_or_code_of_text() -> None:
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|createContextualFragment"
        r"|setHTML|DOMParser|srcdoc|javascript:|localStorage|https?://(?!www\.w3\.org/2000/svg)"
    )
    files = [path for path in PAGE.rglob("*") if path.is_file()]
    assert len(files) > 15
    found = {path.name: hit.group() for path in files if (hit := forbidden.search(path.read_text(encoding="utf-8")))}
    assert found == {}
    document = (PAGE / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<style|style=|\son[a-z]+=|<script(?![^>]*\ssrc=)", document) == []


# -- strangers -----------------------------------------------------------------------------------------------------

ATTACK = """
    const [url, paths] = arguments;
    const read = [];
    const ws = url.replace('http', 'ws');
    for (const path of paths) {
      for (const mode of ['cors', 'no-cors']) {
        try {
          const answer = await fetch(url + path, { mode, credentials: 'include' });
          const text = await answer.text();
          if (text) read.push([path, mode, text.slice(0, 80)]);
        } catch (error) { /* nothing was read */ }
      }
    }
    for (const path of ['/ws', '/ws/realtime/binance?symbols=BTCUSDT']) {
      await new Promise((done) => {
        const socket = new WebSocket(ws + path);
        socket.onopen = () => socket.send(JSON.stringify({ action: 'subscribe', symbol: 'BTCUSDT' }));
        socket.onmessage = (event) => { read.push([path, 'socket', String(event.data).slice(0, 80)]); socket.close(); };
        socket.onerror = () => null;
        socket.onclose = done;
        setTimeout(done, 3000);
      });
    }
    for (const path of ['/health', '/api/status', '/main.js']) {
      await new Promise((done) => {
        const script = document.createElement('script');
        script.src = url + path;
        script.onload = () => { read.push([path, 'script', 'it ran']); done(); };
        script.onerror = done;
        document.body.append(script);
      });
    }
    const frame = document.createElement('iframe');
    frame.src = url + '/';
    await new Promise((done) => { frame.onload = done; frame.onerror = done; document.body.append(frame); });
    try {
      if (frame.contentDocument && frame.contentDocument.body.textContent) read.push(['/', 'frame', 'its text']);
    } catch (error) { /* another origin */ }
    return read;"""
PATHS = ["/", "/health", "/api/status", "/api/rows", "/api/snapshots/BTCUSDT", "/api/ws/status"]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_page_of_another_site_reads_nothing_although_the_browser_holds_the_cookie(
    page: Browser, served: Served, name: str
) -> None:
    own = page.run("return (await fetch('/api/status')).status")
    assert own == 200, "the cookie is there"
    with strangers_page() as port:
        page.open(f"http://{name}:{port}/")
        assert page.run(ATTACK, served.url, PATHS) == []
    refused = httpx.get(
        f"{served.url}/api/ws/status", headers={"Authorization": f"Bearer {served.token}"}, trust_env=False
    ).json()["refused"]
    assert sum(refused.values()) > 0


def test_another_name_for_this_machine_gets_nothing(page: Browser, served: Served) -> None:
    """DNS rebinding: the stranger's own name points to this machine, so the browser takes it for one origin."""
    page.open(f"http://rebound.localhost:{served.port}/")
    assert page.run("return performance.getEntriesByType('navigation')[0].responseStatus") == 403
    tried = "return fetch(arguments[0]).then((answer) => answer.text(), () => '')"
    assert [page.run(tried, path) for path in ("/api/status", "/health")] == ["", ""]
    assert "BTC" not in page.text()
