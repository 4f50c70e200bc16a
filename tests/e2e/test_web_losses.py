"""The page when its server goes silent, ends, comes back or cannot speak WebSocket: old numbers never look live."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import web_browser
from web_browser import Browser
from web_serving import Served, serving

pytestmark = pytest.mark.skipif(bool(web_browser.missing()), reason=web_browser.missing() or "there")

LOST = "return document.documentElement.dataset.link === 'lost'"
VIEW = "view=wall&tiles=delta:TOTAL:spot,scanner,book,feeds"
TEXTS = """return ['.figure', '.scanner td.number', '.book dd']
    .map((each) => (document.querySelector(each) || {}).textContent || '')"""
NUMBERS = f"""const texts = (function () {{ {TEXTS} }})();
    return texts.every((text) => /[0-9]/.test(text)) && texts"""
LIVE = f"if (document.documentElement.dataset.link !== 'live') return false; {NUMBERS}"
OTHER = f"return (function () {{ {TEXTS} }})().every((text, n) => text !== arguments[0][n])"
POLLS = """const found = /([0-9]+) questions? over HTTP/.exec(document.querySelector('#cover').innerText);
    return found ? Number(found[1]) : 0"""
VIVID = """const canvas = document.querySelector('.canvas');
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let vivid = 0;
    for (let at = 0; at < pixels.length; at += 4) {
      const parts = pixels.slice(at, at + 3);
      if (Math.max(...parts) - Math.min(...parts) > 70) vivid += 1;
    }
    return vivid;"""
NO_SOCKETS = """window.RealSocket = WebSocket;
    window.WebSocket = class extends EventTarget {
      constructor() { super(); setTimeout(() => this.dispatchEvent(new CloseEvent('close')), 10); }
      close() {}
    };"""


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with web_browser.browser() as one:
        yield one


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as program:
        yield program


def go_live(window: Browser, served: Served, view: str = VIEW) -> None:
    window.forget_cookies()
    window.open(f"{served.link}&{view}")
    window.wait(LIVE)


def assert_covered(window: Browser) -> None:
    assert window.run("return document.querySelector('#cover').getBoundingClientRect().height") > 300
    assert "what you see are the last values, not live ones" in window.text("#cover")
    assert "NOT LIVE · WAS DEMO" in window.text("#bar")
    assert "connection lost" in window.text("#bar")
    assert window.run("return document.title").startswith("✕ not live")
    assert window.run("return document.querySelector('.figure').className.includes('stale')")
    assert window.run(
        "return [...document.querySelectorAll('.scanner tbody tr')].every((row) => row.className === 'stale')"
    )
    assert window.run("return [...document.querySelectorAll('#bar .lights .light.green')].length") == 0
    assert window.run(VIVID) == 0


def test_a_server_that_ends_is_covered_with_a_sentence_and_its_return_is_live_without_a_hand(window: Browser) -> None:
    with serving() as first:
        go_live(window, first)
        port, token = first.port, first.token
        assert window.run(VIVID) > 100
    window.wait(LOST)
    assert_covered(window)
    held = window.run(TEXTS)
    asked = window.wait(POLLS)
    window.wait(f"return (function () {{ {POLLS} }})() > arguments[0] + 1", asked)
    assert window.run(TEXTS) == held
    with serving(port, token):
        window.wait(LIVE)
        assert window.run("return document.querySelector('#cover').hidden")
        assert "connected" in window.text("#bar")
        window.wait("return [...document.querySelectorAll('.scanner tbody tr')].some((row) => row.className === '')")
        window.wait(OTHER, window.run(TEXTS))


def test_a_server_that_goes_silent_on_an_open_connection_is_noticed(window: Browser, served: Served) -> None:
    go_live(window, served)
    served.freeze()
    try:
        window.wait(LOST)
        assert "The server went silent" in window.text("#cover")
        assert_covered(window)
    finally:
        served.thaw()
    window.wait(LIVE)


def test_values_come_over_http_while_no_socket_can_be_had(window: Browser, served: Served) -> None:
    added = window.devtools("Page.addScriptToEvaluateOnNewDocument", {"source": NO_SOCKETS})
    try:
        window.forget_cookies()
        window.open(f"{served.link}&{VIEW}")
        window.wait("return document.documentElement.dataset.link === 'polling'")
        first = window.wait(NUMBERS)
        window.wait(OTHER, first)
        assert "polling" in window.text("#bar")
        assert window.run("return document.querySelector('#cover').hidden")
        window.run("window.WebSocket = window.RealSocket")
        window.wait(LIVE)
    finally:
        window.devtools("Page.removeScriptToEvaluateOnNewDocument", {"identifier": added["identifier"]})


def test_results_are_ordered_by_their_time_not_by_their_arrival(window: Browser, served: Served) -> None:
    go_live(window, served)
    kept = window.run("""
        const { Store, keyOf } = await import('/store.js');
        const store = new Store();
        const place = { venue: 'binance', marketType: 'SPOT' };
        const line = (value) => ({ key: 'delta:5', label: 'Delta 5 %', value, coverage: 'exact' });
        const message = (time) => ({ type: 'indicator', indicator: 'delta', category: 'TOTAL', ...place, depth: 5, time,
          age_ms: 0, lines: [line(time)] });
        const row = (time) => ({ type: 'market_data', venue: 'binance', time,
          data: [{ symbol: 'A', ...place, price: time }] });
        const book = (time) => ({ type: 'tick', ...place, symbol: 'A', time, bid: time });
        for (const each of [message, row, book]) for (const time of [2000, 1000]) store.apply(each(time), 0);
        return [store.seriesOf(keyOf(message(0))).newest.lines[0].value, [...store.rows.values()][0].data.price,
          [...store.books.values()][0].tick.bid];""")
    assert kept == [2000, 2000, 2000]


def test_a_browser_without_the_token_sees_no_number_and_is_told_what_to_do(window: Browser, served: Served) -> None:
    window.forget_cookies()
    window.open(f"{served.url}/?{VIEW}")
    window.wait("return document.documentElement.dataset.link === 'locked'")
    assert "This browser has not shown the token. Open the link that Fathom's Server panel shows" in window.text(
        "#cover"
    )
    assert window.run("return document.querySelectorAll('.figure, .scanner tbody tr, .feed-list li').length") == 0
    assert "no access" in window.text("#bar")
    assert window.run("return document.title").startswith("✕ not live")


def test_values_that_stop_while_the_server_lives_are_covered_with_the_reason(window: Browser, served: Served) -> None:
    go_live(window, served)
    served.tell("red the venue closed the connection")
    served.tell("still")
    window.wait("return document.querySelector('.chart').dataset.stale")
    assert window.run("return document.querySelector('.chart .veil').getBoundingClientRect().height") > 100
    veil = window.text(".chart .veil")
    assert "No new value since" in veil
    assert "Binance SPOT is down (the venue closed the connection)" in veil
    assert "stale" in window.run("return document.querySelector('.figure').className")
    assert window.run("return document.documentElement.dataset.link") == "live"
    served.tell("moving")
    window.wait("return !document.querySelector('.chart').dataset.stale")


def test_one_market_that_stops_beside_one_that_lives_is_told_apart(window: Browser, served: Served) -> None:
    window.forget_cookies()
    window.open(f"{served.link}&view=total-delta")
    window.wait("return document.querySelectorAll('.figure').length === 2")
    served.tell("still spot")
    stale = "return [...document.querySelectorAll('.figure')].map((node) => node.classList.contains('stale'))"
    window.wait(f"return (function () {{ {stale} }})()[0]")
    assert window.run(stale) == [True, False]
    assert "SPOT no new value for" in window.text(".chart .detail")
    assert window.run("return document.querySelector('.chart .veil').hidden")


def test_a_book_that_waits_is_not_shown_as_live(window: Browser, served: Served) -> None:
    go_live(window, served)
    served.tell("unsynced sequence gap, a new snapshot is asked for")
    window.wait("return document.querySelector('.book .veil').textContent.includes('sequence gap')")
    assert "BTCUSDT: waiting for snapshot (sequence gap, a new snapshot is asked for)" in window.text(".book .veil")
    assert window.run("return document.querySelector('.book').dataset.stale") == "yes"
    served.tell("moving")
    window.wait("return !document.querySelector('.book').dataset.stale")


def test_waits_grow_are_never_the_same_and_have_an_end(window: Browser, served: Served) -> None:
    go_live(window, served)
    waits = window.run("""
        const { Link } = await import('/link.js');
        const link = new Link({ refusals: new Map() }, 'utc');
        const waits = [];
        for (let n = 0; n < 40; n += 1) { link.later(0); waits.push(link.nextTryAt); }
        return waits;""")
    assert 250 <= waits[0] <= 500
    assert max(waits) <= 15_000
    assert min(waits[8:]) >= 7_500
    assert len({round(wait, 3) for wait in waits[8:]}) > 25


def test_an_answer_over_http_after_a_silence_brings_the_next_try_forward(window: Browser, served: Served) -> None:
    go_live(window, served)
    found = window.run("""
        const { Link } = await import('/link.js');
        const { Store } = await import('/store.js');
        const link = new Link(new Store(), 'utc');
        link.ask = async () => ({ type: 'status', time: 1, mode: 'LIVE', feeds: [] });
        link.nextTryAt = 1e12;
        await link.poll(0);
        const untouched = link.nextTryAt;
        link.ask = async () => { throw new TypeError('no answer'); };
        await link.poll(0);
        link.ask = async () => ({ type: 'status', time: 2, mode: 'LIVE', feeds: [] });
        await link.poll(0);
        return [untouched, link.nextTryAt, link.pollFailures];""")
    assert found == [1e12, 0, 0]
