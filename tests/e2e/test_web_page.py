"""The page for secondary screens in a real Chromium, on the real local server."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest
import web_browser
from web_browser import Browser
from web_serving import Served, serving

pytestmark = pytest.mark.skipif(bool(web_browser.missing()), reason=web_browser.missing() or "there")

LIVE = "return document.documentElement.dataset.link === 'live'"
FIGURES = """return [...document.querySelectorAll('.figure')].map((node) => node.textContent)
    .filter((text) => /[0-9]/.test(text))"""
OVERFLOW = "return document.documentElement.scrollWidth - window.innerWidth"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as program:
        yield program


@pytest.fixture(scope="module")
def window(served: Served) -> Iterator[Browser]:
    """A browser that has opened the link once."""
    with web_browser.browser() as one:
        one.open(served.link)
        yield one


@pytest.fixture
def page(window: Browser) -> Iterator[Browser]:
    """The browser's window; the page must not have logged anything when the test is over."""
    window.set_size(1280, 800)
    window.log()
    yield window
    assert window.log() == []


def show(page: Browser, served: Served, query: str) -> None:
    page.open(f"{served.url}/?{query}")
    page.wait(LIVE)


def columns(page: Browser) -> list[str]:
    return page.run(
        "return [...document.querySelectorAll('.scanner th[data-column]')].map((cell) => cell.dataset.column)"
    )


# -- first sight ---------------------------------------------------------------------------------------------------


def test_the_link_lets_a_browser_in_and_the_token_leaves_the_address(page: Browser, served: Served) -> None:
    page.open("about:blank")  # so that nothing asks without the cookie
    page.forget_cookies()
    page.log()
    assert served.token in served.link
    page.open(served.link)
    assert page.url == f"{served.url}/"
    page.wait(LIVE)
    cookies = page.devtools("Network.getCookies", {"urls": [served.url]})["cookies"]
    assert [(cookie["httpOnly"], cookie["sameSite"]) for cookie in cookies] == [(True, "Strict")]
    assert served.token not in str(cookies)
    assert page.run("return [document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]


def test_live_numbers_of_every_kind_appear_and_change(page: Browser, served: Served) -> None:
    show(page, served, "")
    texts = """return ['.chart .figure', '.scanner td[class~=number]', '.book .quote dd']
        .map((selector) => (document.querySelector(selector) || {}).textContent || '')"""
    first = page.wait(f"const t = (() => {{ {texts} }})(); return t.every((text) => /[0-9]/.test(text)) && t")
    page.wait(f"const t = (() => {{ {texts} }})(); return t.every((text, n) => text !== arguments[0][n])", first)
    assert "connected" in page.text("#bar")
    assert "data 0." in page.text("#bar")
    assert "DEMO" in page.text("#bar")
    assert "READ-ONLY" in page.text("#bar")
    assert "● DEMO" in page.run("return document.title")


def test_every_feed_has_a_light_with_its_word(page: Browser, served: Served) -> None:
    show(page, served, "view=feeds")
    page.wait("return document.querySelectorAll('.feed-list > li').length === 3")
    text = page.text(".feeds")
    assert "Binance SPOT" in text
    assert "◐" in text
    assert "syncing · books 3/5" in text
    assert "books are loaded at 8 a second" in text


def test_values_say_how_well_they_are_known(page: Browser, served: Served) -> None:
    show(page, served, "view=total-totals&depth=5")
    page.wait("return document.querySelectorAll('.figure').length === 4")
    spot_bid, spot_ask, futures_bid, futures_ask = page.run(FIGURES)
    assert not spot_bid.startswith(("≥", "≈"))
    assert not spot_ask.startswith(("≥", "≈"))
    assert futures_bid.startswith("≥ ")
    assert futures_ask.startswith("≥ ")
    assert "FUTURES 92 of 100 books, a floor" in page.text(".chart .detail")
    show(page, served, "view=total-delta&depth=5")
    page.wait("return document.querySelectorAll('.figure').length === 2")
    assert "≈" in page.run(FIGURES)[1]


def test_an_alert_appears(page: Browser, served: Served) -> None:
    show(page, served, "view=alerts")
    assert "No alert yet" in page.text(".alerts") or "BTC" in page.text(".alerts")
    served.tell("alert BTCUSDT spread under 1 bp <b>now</b>")
    page.wait("return document.querySelector('.alert-list li')")
    assert "BTCUSDT spread under 1 bp <b>now</b>" in page.text(".alert-list")


# -- layouts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("view=total-delta&market=spot&depth=5", ["Delta 5 % · TOTAL · SPOT"]),
        ("view=total3-totals&market=futures&depth=30", ["BID/ASK TOTAL 30 % · TOTAL3 · FUTURES"]),
        ("view=avg&group=others", ["AVG bid/ask 60 % · OTHERS · SPOT + FUTURES"]),
        ("view=ethusdt-delta&market=futures&venue=bybit", ["Delta 5 % · ETHUSDT · FUTURES · Bybit"]),
        ("view=scanner", ["Scanner"]),
        ("view=feeds", ["Feeds"]),
        ("view=book&symbol=bybit.futures:SOLUSDT", ["SOLUSDT · FUTURES · Bybit"]),
        (
            "view=wall&tiles=delta:TOTAL:spot:3,avg,bid-ask:ETHUSDT:both:5,scanner&columns=2",
            [
                "Delta 3 % · TOTAL · SPOT",
                "AVG bid/ask 60 % · TOTAL · SPOT + FUTURES",
                "BID/ASK 5 % · ETHUSDT · SPOT + FUTURES",
                "Scanner",
            ],
        ),
    ],
)
def test_the_address_chooses_the_layout(page: Browser, served: Served, query: str, titles: list[str]) -> None:
    show(page, served, query)
    assert page.run("return [...document.querySelectorAll('.title')].map((node) => node.textContent)") == titles
    page.wait("return [...document.querySelectorAll('.panel')].every((panel) => !panel.dataset.stale)")
    assert page.run("return document.getElementById('notice').hidden")


def test_a_choice_goes_into_the_address_and_back_leads_back(page: Browser, served: Served) -> None:
    show(page, served, "view=total-delta")
    page.run(
        "const s = document.querySelector('select[aria-label=Group]'); s.value = 'OTHERS';"
        "s.dispatchEvent(new Event('change'))"
    )
    page.wait("return document.querySelector('.title').textContent.includes('OTHERS')")
    assert page.url == f"{served.url}/?view=total-delta&group=OTHERS"
    page.wait("return document.querySelectorAll('.figure').length === 2")
    page.command("POST", "back", {})
    page.wait("return document.querySelector('.title').textContent.includes('TOTAL ')")
    assert page.url == f"{served.url}/?view=total-delta"


def test_what_is_not_known_is_said_in_a_sentence(page: Browser, served: Served) -> None:
    show(page, served, "view=nonsense&scale=99&tiles=x")
    assert "view=nonsense is not known" in page.text("#notice")
    assert "scale must be 0.5 to 4, was 99" in page.text("#notice")
    show(page, served, "view=nosuchcoin-delta&market=spot")
    page.wait("return document.querySelector('.veil').textContent.includes('The server says')")
    assert "NOSUCHCOIN" in page.text(".veil")


def test_one_thing_the_server_does_not_have_costs_nothing_else(page: Browser, served: Served) -> None:
    show(page, served, "view=wall&tiles=delta:NOSUCHCOIN:spot,delta:BTCUSDT:spot,delta:ETHUSDT:spot:5:hyperliquid,avg")
    page.wait("return document.querySelectorAll('.panel[data-stale]').length === 2")
    page.wait("return document.querySelectorAll('.figure').length === 3")


def test_themes_colour_pairs_and_scale_follow_the_address(page: Browser, served: Served) -> None:
    look = """const style = getComputedStyle(document.documentElement);
        const paper = getComputedStyle(document.body).backgroundColor;
        return [paper, style.getPropertyValue('--up').trim(), style.fontSize]"""
    show(page, served, "view=feeds")
    assert page.run(look) == ["rgb(14, 17, 22)", "#2ebd85", "16px"]
    show(page, served, "view=feeds&theme=light&scale=1.5")
    assert page.run(look) == ["rgb(244, 246, 248)", "#0b7d4f", "24px"]
    show(page, served, "view=feeds&pair=red-up")
    assert page.run(look)[1] == "#f6465d"
    page.click(".choices button")
    page.wait("return document.documentElement.dataset.theme === 'light'")
    assert page.url == f"{served.url}/?view=feeds&theme=light&pair=red-up"


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_small_and_muted_text_has_contrast_enough(page: Browser, served: Served, theme: str) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    show(page, served, f"view=feeds&theme={theme}")
    ratios = page.run("""
        const style = getComputedStyle(document.documentElement);
        const light = (name) => {
          const colour = style.getPropertyValue('--' + name).trim();
          const parts = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255)
            .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
          return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
        };
        const found = {};
        for (const ink of ['text', 'muted', 'up', 'down', 'warning', 'accent']) {
          for (const paper of ['panel', 'window']) {
            const [high, low] = [light(ink), light(paper)].sort((a, b) => b - a);
            found[ink + ' on ' + paper] = (high + 0.05) / (low + 0.05);
          }
        }
        return found;""")
    assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("view", ["overview", "scanner", "coin", "feeds", "total-totals", "wall"])
def test_a_phone_shows_everything_without_scrolling_sideways(page: Browser, served: Served, view: str) -> None:
    page.set_size(390, 844, ratio=2, mobile=True)
    show(page, served, f"view={view}&depth=all")
    page.wait("return [...document.querySelectorAll('.panel')].every((panel) => !panel.dataset.stale)")
    assert page.run(OVERFLOW) == 0
    assert page.run("return document.querySelector('.mode').getBoundingClientRect().right <= innerWidth")


def test_the_mode_stays_in_sight_when_a_phone_scrolls(page: Browser, served: Served) -> None:
    page.set_size(390, 844, mobile=True)
    show(page, served, "")
    page.run("window.scrollTo(0, 900)")
    top, bottom = page.run(
        "const b = document.querySelector('.mode').getBoundingClientRect(); return [b.top, b.bottom]"
    )
    assert page.run("return window.scrollY") > 500
    assert 0 <= top < bottom < 844


def test_the_table_keeps_its_important_columns_on_a_phone(page: Browser, served: Served) -> None:
    page.set_size(390, 844, mobile=True)
    show(page, served, "view=scanner")
    page.wait("return document.querySelector('.scanner tbody tr')")
    assert columns(page) == ["symbol", "price", "change_24h", "volume_24h"]
    assert "BN·F" in page.text(".scanner tbody")
    page.set_size(1600, 900)
    page.wait("return document.querySelectorAll('.scanner th[data-column]').length === 16")


def test_a_television_gets_larger_letters_in_the_same_frame(page: Browser, served: Served) -> None:
    page.set_size(1920, 1080)
    show(page, served, "view=wall&scale=2&controls=off")
    assert page.run("return document.querySelector('.controls')") is None
    assert page.run("return parseFloat(getComputedStyle(document.querySelector('.figure')).fontSize)") >= 32
    assert page.run("const page = document.documentElement; return [page.scrollWidth, page.scrollHeight]") == [
        1920,
        1080,
    ]


# -- the table -----------------------------------------------------------------------------------------------------

ORDER = "return [...document.querySelectorAll('.scanner tbody .pick')].map((node) => node.textContent)"


def test_the_scanner_sorts_filters_and_limits(page: Browser, served: Served) -> None:
    show(page, served, "view=scanner&market=spot&top=200")
    page.wait("return document.querySelectorAll('.scanner tbody tr').length === 34")
    assert page.run(ORDER)[:3] == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
    page.click("th[data-column=symbol] button")
    page.wait("return document.querySelector('th[data-column=symbol]').ariaSort === 'ascending'")
    names = page.wait(
        f"const names = (() => {{ {ORDER} }})(); return names.includes('AAVEUSDT') || names[4] === 'ADAUSDT' && names"
    )
    assert names == sorted(names)
    page.write(".filter", "doge")
    page.wait("return document.querySelectorAll('.scanner tbody tr').length === 1")
    assert page.run(ORDER) == ["DOGEUSDT"]
    assert page.url == f"{served.url}/?view=scanner&market=spot&top=200&sort=symbol&order=up&filter=doge"
    show(page, served, "view=scanner&market=futures&venue=bybit&top=7")
    page.wait("return document.querySelectorAll('.scanner tbody tr').length === 7")
    assert "venue" not in columns(page)


def test_direction_is_told_by_sign_and_arrow_besides_the_colour(page: Browser, served: Served) -> None:
    show(page, served, "view=scanner")
    page.wait("return document.querySelector('.scanner td.up') && document.querySelector('.scanner td.down')")
    changes = page.run(
        """const heads = [...document.querySelectorAll('th[data-column]')];
        const at = heads.findIndex((cell) => cell.dataset.column === 'change_24h');
        const cells = [...document.querySelectorAll('.scanner tbody tr')].map((row) => row.children[at]);
        return cells.map((cell) => [cell.className, cell.textContent])"""
    )
    assert len(changes) == 100
    assert all(
        ("▲ +" in text) == ("up" in classes) and ("▼ −" in text) == ("down" in classes) for classes, text in changes
    )


def test_rows_keep_their_place_under_the_pointer(page: Browser, served: Served) -> None:
    show(page, served, "view=scanner&sort=delta")
    page.wait("return document.querySelector('.scanner tbody tr')")
    enter = "arguments[0].dispatchEvent(new PointerEvent('pointerenter', { pointerType: 'mouse' }))"
    page.run(enter.replace("arguments[0]", "document.querySelector('.scanner table')"))
    page.wait("return document.querySelector('.scanner .detail').textContent.includes('order held')")
    held = page.run(ORDER)
    time.sleep(1.5)
    assert page.run(ORDER) == held
    page.run("document.querySelector('.scanner table').dispatchEvent(new PointerEvent('pointerleave'))")
    page.wait(f"return JSON.stringify((() => {{ {ORDER} }})()) !== JSON.stringify(arguments[0])", held)


def test_a_row_leads_to_its_book(page: Browser, served: Served) -> None:
    show(page, served, "view=scanner&filter=solusdt+bybit")
    page.wait("return document.querySelectorAll('.scanner tbody tr').length === 1")
    page.click(".scanner .pick")
    page.wait("const bid = document.querySelector('.book .quote dd'); return bid && /[0-9]/.test(bid.textContent)")
    assert page.run("return document.querySelector('.book .title').textContent") == "SOLUSDT · FUTURES · Bybit"
    assert page.url == f"{served.url}/?view=coin&filter=solusdt+bybit&symbol=bybit.futures:SOLUSDT"
    assert "known: bid to 11 %, ask to 9.8 %" in page.text(".book .state")


# -- by keyboard and for the ear -----------------------------------------------------------------------------------


def test_a_chart_can_be_read_by_keyboard_and_by_name(page: Browser, served: Served) -> None:
    show(page, served, "view=total-delta&span=2m")
    page.wait("return document.querySelectorAll('.figure').length === 2")
    page.run("document.querySelector('.canvas').focus()")
    page.run(
        "for (let n = 0; n < 12; n += 1) document.querySelector('.canvas')"
        ".dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowLeft' }))"
    )
    page.wait("return !document.querySelector('.readout').hidden")
    time_line, spot, futures = page.text(".readout").splitlines()
    assert time_line.endswith(" UTC")
    assert spot.startswith("Delta 5 % SPOT 0.")
    assert futures.startswith("Delta 5 % FUTURES ≈ 1.")
    name = page.run("return document.querySelector('.canvas').ariaLabel")
    assert name.startswith("Delta 5 % · TOTAL · SPOT + FUTURES, last 2m: Delta 5 % SPOT 0.")


def test_every_control_has_a_name_and_a_visible_focus(page: Browser, served: Served) -> None:
    show(page, served, "")
    page.wait("return document.querySelector('.scanner tbody tr')")
    nameless = page.run(
        """return [...document.querySelectorAll('button, a, input, select, canvas')]
        .filter((node) => !node.ariaLabel && !node.textContent.trim()).map((node) => node.outerHTML)"""
    )
    assert nameless == []
    page.run("document.body.focus()")
    outlines = []
    for _ in range(4):
        page.command(
            "POST",
            "actions",
            {
                "actions": [
                    {
                        "type": "key",
                        "id": "keys",
                        "actions": [{"type": "keyDown", "value": "\ue004"}, {"type": "keyUp", "value": "\ue004"}],
                    }
                ]
            },
        )
        outlines.append(page.run("return getComputedStyle(document.activeElement).outlineStyle"))
    assert outlines == ["solid"] * 4


def test_the_legend_takes_a_curve_away_and_back(page: Browser, served: Served) -> None:
    show(page, served, "view=total-delta")
    page.wait("return document.querySelectorAll('.legend button').length === 2")
    page.click(".legend button")
    page.wait("return document.querySelector('.legend button').ariaPressed === 'false'")
    page.wait("return !document.querySelector('.canvas').ariaLabel.includes('Delta 5 % SPOT')")
    page.click(".legend button")
    page.wait("return document.querySelector('.canvas').ariaLabel.includes('Delta 5 % SPOT')")


# -- what the canvas shows -----------------------------------------------------------------------------------------

INKED = """const canvas = document.querySelector('.canvas');
    const copy = document.createElement('canvas');
    const { width, height } = Object.assign(copy, { width: canvas.width, height: canvas.height });
    const context = copy.getContext('2d', { willReadFrequently: true });
    context.drawImage(canvas, 0, 0);
    const pixels = context.getImageData(0, 0, width, height).data;
    const [more, less] = arguments[0] === 'cool' ? [2, 0] : [0, 2];
    return Array.from({ length: width }, (_, x) => {
      for (let y = 0; y < height; y += 1) {
        const at = 4 * (y * width + x);
        if (pixels[at + more] - pixels[at + less] > 40) return true;
      }
      return false;
    });"""


def inked(page: Browser, temperature: str) -> list[bool]:
    """Tell for each pixel column of the plot whether a curve of warm or cool colour crosses it."""
    columns: list[bool] = page.run(INKED, temperature)
    return columns[: int(len(columns) * 0.9)]


def holes(columns: list[bool]) -> list[int]:
    """Return the widths of the empty stretches between the first and the last inked column."""
    drawn = [x for x, is_drawn in enumerate(columns) if is_drawn]
    return [b - a - 1 for a, b in itertools.pairwise(drawn) if b - a > 1]


def test_a_gap_in_the_past_is_drawn_as_a_gap(page: Browser, served: Served) -> None:
    show(page, served, "view=total-delta&market=spot&span=15m")
    page.wait(f"return (function () {{ {INKED} }})('cool').slice(0, 200).some(Boolean)")
    minute_px = 1280 * 0.94 / 15
    (hole,) = holes(inked(page, "cool"))  # an exact line has no other hole
    assert 3 * minute_px < hole < 5.5 * minute_px


def test_a_partial_curve_is_made_of_dashes_and_an_exact_one_is_whole(page: Browser, served: Served) -> None:
    show(page, served, "view=total-delta&market=spot&span=2m")
    page.wait(f"return (function () {{ {INKED} }})('cool').filter(Boolean).length > 300")
    assert holes(inked(page, "cool")) == []
    show(page, served, "view=total-delta&market=futures&span=2m")
    page.wait(f"return (function () {{ {INKED} }})('warm').filter(Boolean).length > 300")
    dashes = holes(inked(page, "warm"))
    assert len(dashes) > 20
    assert max(dashes) < 10
