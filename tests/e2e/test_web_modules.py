"""The page's own arithmetic, run in Chromium and compared with the desktop's: formats, axes, tags, series, options."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from datetime import UTC
from typing import Any

import pytest
import web_browser
from web_browser import Browser
from web_serving import serving

from app.ui.charts import scales, tags
from app.viewmodels import formats

pytestmark = pytest.mark.skipif(bool(web_browser.missing()), reason=web_browser.missing() or "there")


@pytest.fixture(scope="module")
def page() -> Iterator[Browser]:
    with serving() as served, web_browser.browser() as window:
        window.open(f"{served.link}&view=feeds")
        yield window


def call(page: Browser, module: str, name: str, cases: list[list[Any]]) -> list[Any]:
    """Return what a function of a module gives for each list of arguments."""
    script = (
        "const module = await import(arguments[0]); return arguments[2].map((each) => module[arguments[1]](...each))"
    )
    return list(page.run(script, f"/{module}.js", name, cases))


def desktop(text: str) -> str:
    """Return a text of the desktop with the page's minus sign."""
    return text.replace("-", "−")


MAGNITUDES = [0.0, 1e-7, 0.00042, 0.5, 0.999, 1.0, 9.995, 12.34, 999.4, 999.6, 1000.0, 1234.5, 99_950.0, 999_499.0, 1e6]
MAGNITUDES += [1.25e6, 12_345_678.0, 999_400_000.0, 1e9, 3.14159e9, 7.7e12, 1.5e15]


def test_amounts_prices_and_ages_read_as_on_the_desktop(page: Browser) -> None:
    values = [*MAGNITUDES, *(-value for value in MAGNITUDES[1:])]
    assert call(page, "text", "volume", [[value] for value in values]) == [
        desktop(formats.volume(value)) for value in values
    ]
    assert call(page, "text", "price", [[value] for value in values]) == [
        desktop(formats.price(value)) for value in values
    ]
    ages = [0, 40, 9_940, 9_960, 59_400, 61_000, 3_599_000, 3_700_000, 86_400_000, 200_000_000]
    assert call(page, "text", "age", [[age] for age in ages]) == [formats.age(age * 1_000_000) for age in ages]
    assert call(page, "text", "age", [[None]]) == [formats.age(None)]


def test_what_is_not_a_number_never_reaches_the_screen(page: Browser) -> None:
    shown = page.run("""
        const text = await import('/text.js');
        const bad = [null, undefined, NaN, Infinity, -Infinity, '12', {}, []];
        return ['volume', 'price', 'ratio', 'percent', 'signed', 'grouped', 'milliseconds', 'shortAge'].map((name) =>
          bad.map((value) => text[name](value)));""")
    assert {text for row in shown for text in row} == {"—"}
    cases = [[41.2e6, word] for word in ("exact", "floor", "partial", "missing", "nonsense")]
    found = page.run(
        "const t = await import('/text.js'); return arguments[0].map(([v, w]) => t.known(v, w, t.volume))", cases
    )
    assert found == ["41.2 M", "≥ 41.2 M", "≈ 41.2 M", "—", "≈ 41.2 M"]


def test_axes_carry_the_labels_of_the_desktop(page: Browser) -> None:
    generator = random.Random(3)
    for _ in range(40):
        low = generator.uniform(-1, 1) * 10 ** generator.randint(-3, 10)
        high = low + 10 ** generator.uniform(-3, 10)
        pixels = generator.randint(80, 900)
        step = scales.value_step(high - low, pixels)
        values = scales.value_ticks(low, high, step)
        for is_money in (True, False):
            (found,) = call(page, "scales", "valueLabels", [[low, high, pixels, 34, is_money]])
            assert [label["text"] for label in found] == scales.value_labels(values, step, is_money)
    start = 1_790_000_000
    for span, pixels in ((120, 800), (900, 300), (3600, 1200), (86_400, 700), (14_400, 390)):
        step_s = scales.time_step(span, pixels)
        wanted = [scales.time_label(at, step_s, UTC) for at in scales.time_ticks(start, start + span, step_s, UTC)]
        (found,) = call(page, "scales", "timeLabels", [[start * 1000, (start + span) * 1000, pixels, 76, "utc"]])
        assert [label["text"] for label in found] == wanted


def test_last_value_tags_never_cover_one_another(page: Browser) -> None:
    generator = random.Random(5)
    for _ in range(60):
        height = generator.uniform(40, 600)
        wanted = [generator.uniform(0, height) for _ in range(generator.randint(1, 16))]
        (found,) = call(page, "scales", "spread", [[wanted, 15, 0, height]])
        assert found == pytest.approx(tags.spread(wanted, 15, 0, height))


SERIES = """
    const { Series } = await import('/series.js');
    const series = new Series(3600000);
    const message = (time, value, coverage = 'exact') => ({ time, lines: [{ key: 'a', label: 'A', value, coverage }] });
    const points = (times, values) => (
      { times, lines: [{ key: 'a', label: 'A', values, coverage: values.map(() => 'exact') }] });
    const show = () => ({ times: series.times, values: series.lines.get('a').values.map((v) => (v === v ? v : null)),
      gaps: series.times.slice(0, -1).map((_, index) => series.isGap(index)) });
"""


def test_history_and_live_values_meet_in_one_seam(page: Browser) -> None:
    held = page.run(f"""{SERIES}
        series.append(message(600000, 6));
        series.append(message(600200, 7));
        series.merge(points([597000, 598000, 599000, 600000], [3, 4, 5, 6]), false);
        series.merge(points([420000, 480000, 540000, 600000], [0, 1, 2, 99]), true);
        return show();""")
    assert held["times"] == [420_000, 480_000, 540_000, 597_000, 598_000, 599_000, 600_000, 600_200]
    assert held["values"] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert held["gaps"] == [False] * 7


def test_a_silence_is_a_gap_until_the_server_tells_what_was_in_it(page: Browser) -> None:
    held = page.run(f"""{SERIES}
        for (const at of [1000, 1200, 1400, 9000, 9200]) series.append(message(at, at));
        const before = show().gaps;
        series.merge(points([1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000], [1, 2, 3, 4, 5, null, 7, 8]), false);
        return [before, show()];""")
    assert held[0] == [False, False, True, False]
    assert held[1]["times"] == [*range(1000, 10_000, 1000), 9200]
    assert held[1]["gaps"] == [False] * 9
    assert held[1]["values"][5] is None


def test_a_long_day_is_thinned_out_to_what_can_be_seen_but_gaps_stay(page: Browser) -> None:
    times, gaps, left = page.run(f"""{SERIES}
        for (let at = 0; at < 60000; at += 1) if (at < 50000 || at > 50030) series.append(message(at * 200, at));
        const {{ times, gaps }} = show();
        return [times, gaps.flatMap((isGap, index) => (isGap ? [index] : [])), series.lines.get('a').values.length]""")
    assert len(times) == left <= 6000
    assert times == sorted(set(times))
    assert times[-1] == 59_999 * 200
    assert times[-1] - 3_600_000 > times[0] > times[-1] - 1.5 * 3_600_000, "an hour is shown"
    assert max(after - before for before, after in itertools.pairwise(times[:-1])) < 6500
    (gap,) = gaps
    assert times[gap : gap + 2] == [49_999 * 200, 50_031 * 200]


def test_late_and_broken_values_do_no_harm(page: Browser) -> None:
    held = page.run(f"""{SERIES}
        series.append(message(5000, 5));
        series.append(message(4000, 4));
        series.append({{ time: null, lines: [] }});
        series.append({{ time: 5200 }});
        series.append(message(5400, 'text'));
        series.merge(null, false);
        series.merge({{ times: ['x'], lines: [] }}, false);
        return show();""")
    assert held["times"] == [5000, 5400]
    assert held["values"] == [5, None]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "view=wall&tiles=delta:TOTAL:spot:5,scanner&columns=3&theme=light&scale=1.5",
        "view=scanner&venue=bybit&market=futures&sort=age&order=up&filter=a b&top=20",
        "view=coin&symbol=bybit.futures:ETHUSDT&depth=3,8&lines=bid,ask,diff&span=4h&zone=local",
        "view=total-delta&depth=all&pair=colour-blind&controls=off&group=OTHERS",
    ],
)
def test_the_address_holds_every_choice(page: Browser, query: str) -> None:
    first, again = page.run(
        """const { parse, address } = await import('/options.js');
        const first = parse(arguments[0]);
        return [first, parse(address(first).slice(1))]""",
        query,
    )
    assert first == again
    assert first["notes"] == []


def test_the_nearest_depth_an_indicator_has_is_taken(page: Browser) -> None:
    parsed = call(page, "options", "parse", [["view=total-delta&depth=60"], ["view=total-delta&depth=1.5"]])
    assert [options["layout"]["tiles"][0]["depths"] for options in parsed] == [[30], [3]]
    (bad,) = call(page, "options", "parse", [["depth=7"]])
    assert bad["depths"] == [5]
    assert "depth must be one of" in bad["notes"][0]


def test_unknown_values_are_last_whichever_way_a_column_is_sorted(page: Browser) -> None:
    orders = page.run("""
        const { COLUMNS, comparison } = await import('/columns.js');
        const column = COLUMNS.find((each) => each.key === 'funding');
        const rows = [3, null, 1, NaN, 2].map((funding, index) => ({ key: String(index), data: { funding } }));
        return [true, false].map((isDown) => [...rows].sort(comparison(column, isDown, 0)).map((row) => row.key));""")
    assert orders == [["0", "4", "2", "1", "3"], ["2", "4", "0", "1", "3"]]
