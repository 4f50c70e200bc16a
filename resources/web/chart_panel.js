// One depth indicator as a chart: title with the coverage in words, newest values in figures, curves, legend, crosshair.

import { paint } from "./chart.js";
import { lineColour, lineParts } from "./colours.js";
import { dress, element, mark, rem, show, write } from "./dom.js";
import { seriesKey } from "./link.js";
import { GROUPS, INDICATORS, SPANS } from "./options.js";
import { feedWords, Panel, refusalWords, STALE_MS, staleWords } from "./panel.js";
import { lowerBound, COVERAGE_WORDS } from "./series.js";
import { age, capital, clock, coverageWords, isNumber, known, plain, ratio, UNKNOWN, volume, zoneName } from "./text.js";

const MOST_FIGURES = 6;
const SHORT = { missing: "not known", partial: "partial", floor: "a floor", exact: "exact" };

export class ChartPanel extends Panel {
  constructor(tile, options) {
    const facts = INDICATORS[tile.indicator];
    const depths = tile.indicator === "avg" ? "60 %" : `${tile.depths.join(", ")} %`;
    const name = `${facts.heading} ${depths} · ${plain(tile.subject)} · ${tile.markets.join(" + ")}`;
    const whole = tile.venue === "binance" ? name : `${name} · ${capital(tile.venue)}`;
    super("chart", whole);
    this.tile = tile;
    this.options = options;
    this.facts = facts;
    this.format = facts.money ? volume : ratio;
    this.name = whole;
    write(this.title, whole);
    this.canvas = element("canvas", { role: "img", tabindex: "0", "aria-label": whole, class: "canvas" });
    this.legend = element("ul", { class: "legend", "aria-label": "Curves" });
    this.readout = element("div", { class: "readout", hidden: true });
    this.head.after(this.legend);
    this.body.append(this.canvas, this.readout);
    this.hidden = new Set();
    this.rows = new Map();
    this.crosshair = null;
    this.painted = null;
    this.drawn = "";
    this.canvas.addEventListener("pointermove", (event) => this.point(event.offsetX));
    this.canvas.addEventListener("pointerleave", () => this.point(null));
    this.canvas.addEventListener("blur", () => this.point(null));
    this.canvas.addEventListener("keydown", (event) => this.onKey(event));
  }

  needs() {
    const { tile } = this;
    const depth = tile.indicator !== "avg" && tile.depths.length === 1 ? { depth: tile.depths[0] } : {};
    return {
      indicators: tile.markets.map((marketType) => (
        { indicator: tile.indicator, category: tile.subject, venue: tile.venue, marketType, ...depth })),
    };
  }

  render(scene) {
    const needs = this.needs().indicators;
    const newest = needs.map((need) => scene.store.seriesOf(seriesKey(need)).newest);
    const curves = this.curves(scene);
    const times = newest.map((message) => (message ? message.time : NaN));
    this.cover(this.veilWords(scene, curves, times.filter(isNumber)));
    write(this.detail, this.knownWords(newest, scene));
    this.fillFigures(curves);
    this.fillLegend(curves);
    this.draw(scene, curves.filter((curve) => !this.hidden.has(curve.name)));
  }

  /** Return every curve the tile names for which there is a line, in the order of markets and depths. */
  curves(scene) {
    const { tile } = this;
    const isOverlaid = tile.markets.length > 1;
    const found = [];
    for (const need of this.needs().indicators) {
      const series = scene.store.seriesOf(seriesKey(need));
      for (const line of series.lines.values()) {
        const parts = this.partsOf(line);
        if (!parts) continue;
        const given = series.newest && series.newest.lines.find((each) => each.key === line.key);
        const lastValue = given && isNumber(given.value) ? given.value : NaN;
        const coverage = given ? (given.unconfirmed > 0 && given.coverage === "floor" ? "partial" : given.coverage) : "missing";
        found.push({
          isStale: scene.isLost || !series.newest || !(scene.now - series.newest.time <= STALE_MS),
          series,
          line,
          name: `${need.marketType}/${line.key}`,
          label: `${plain(line.label)}${isOverlaid ? ` ${need.marketType}` : ""}`,
          colour: lineColour(scene.colours, parts, need.marketType, tile.depths, isOverlaid),
          isThick: isOverlaid && need.marketType === "FUTURES",
          lastValue,
          lastCoverage: coverage,
          tag: known(lastValue, coverage, this.format),
        });
      }
    }
    return found;
  }

  /** Return side and depth of a line this chart shows, null for any other line. */
  partsOf(line) {
    const parts = lineParts(line.key);
    const isShown = parts && this.tile.depths.includes(parts.depth) && (!parts.side || this.options.lines.includes(parts.side));
    return isShown ? parts : null;
  }

  veilWords(scene, curves, times) {
    if (scene.isLost) return "";
    const { subject, venue, markets } = this.tile;
    const about = plain(subject);
    if (!curves.length || !times.length) {
      const refusal = refusalWords(scene.store, this.needs().indicators.map(seriesKey));
      return refusal || `Waiting for the first value of ${about}. It appears when the books are primed (see Feeds).`;
    }
    if (curves.every((curve) => curve.isStale)) {
      const time = Math.max(...times);
      return staleWords(scene.store.status, venue, markets, time, scene.now - time, scene.zone);
    }
    if (curves.every((curve) => curve.isStale || !isNumber(curve.lastValue))) {
      return `${about}: no book is primed deep enough for a value now.${feedWords(scene.store.status, venue, markets)}`;
    }
    return "";
  }

  /** Return the coverage in words: "92 of 100 books, partial", per market where these differ. */
  knownWords(newest, scene) {
    const texts = newest.map((message) => {
      if (!message || !isNumber(message.total)) return "no value yet";
      if (scene.now - message.time > STALE_MS) return `no new value for ${age(scene.now - message.time)}`;
      const shown = message.lines.filter((line) => this.partsOf(line));
      const order = ["missing", "partial", "floor", "exact"];
      const worst = order[Math.min(...shown.map((line) => Math.max(0, order.indexOf(line.coverage))), 3)];
      const word = SHORT[worst];
      if (!GROUPS.includes(this.tile.subject)) return word;
      if (isNumber(message.exact)) return `${message.exact} of ${message.total} books exact`;
      return `${message.included} of ${message.total} books, ${word}`;
    });
    if (new Set(texts).size < 2) return texts[0] || "";
    return texts.map((text, index) => `${this.tile.markets[index]} ${text}`).join(", ");
  }

  /** Show the newest values in figures; each is the legend of its curve as well. */
  fillFigures(curves) {
    for (const curve of curves) {
      const { reference } = this.facts;
      const side = reference === null || !isNumber(curve.lastValue) ? 0 : Math.sign(curve.lastValue - reference);
      const { value } = this.row(curve);
      write(value, `${side ? `${side > 0 ? "▲" : "▼"} ` : ""}${curve.tag}`);
      dress(value, `figure ${side > 0 ? "up" : side < 0 ? "down" : ""} ${curve.isStale ? "stale" : ""}`);
      const meaning = side ? `, ${side > 0 ? "bids" : "asks"} heavier` : "";
      mark(value, "title", `${curve.tag}: ${coverageWords(curve.lastCoverage)}${meaning}`);
    }
    mark(this.legend, "data-many", curves.length > MOST_FIGURES ? "yes" : null);
  }

  /** Return the legend row of a curve, new if need be. */
  row(curve) {
    let row = this.rows.get(curve.name);
    if (!row) {
      row = { swatch: element("span"), words: element("span", { class: "name" }), value: element("span") };
      row.button = element("button", { type: "button", on: { click: () => this.toggle(curve.name) } }, row.swatch, row.words);
      row.item = element("li", {}, row.button, row.value);
      this.rows.set(curve.name, row);
      this.legend.append(row.item);
    }
    return row;
  }

  fillLegend(curves) {
    for (const [name, row] of this.rows) {
      if (curves.some((curve) => curve.name === name)) continue;
      row.item.remove();
      this.rows.delete(name);
    }
    for (const curve of curves) {
      const row = this.row(curve);
      const isShown = !this.hidden.has(curve.name);
      write(row.words, curve.label);
      row.swatch.style.borderTopColor = curve.colour;
      dress(row.swatch, `swatch ${curve.lastCoverage === "exact" ? "" : "loose"} ${curve.isThick ? "thick" : ""}`);
      mark(row.button, "aria-pressed", String(isShown));
      mark(row.button, "title", `${coverageWords(curve.lastCoverage)}; click to ${isShown ? "hide" : "show"}`);
    }
  }

  toggle(name) {
    if (!this.hidden.delete(name)) this.hidden.add(name);
    this.drawn = "";
  }

  draw(scene, curves) {
    const to = isNumber(scene.now) ? scene.now : Date.now();
    const font = rem() * 0.6875;
    // nothing is painted twice: a paused or lost chart costs nothing
    const drawn = [curves.map((curve) => [curve.name, curve.series.revision, curve.isStale]), Math.round(to / 200),
      this.crosshair, this.canvas.clientWidth, this.canvas.clientHeight, font, scene.look].join("|");
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const spanS = SPANS[this.options.span];
    this.painted = paint(this.canvas, {
      curves,
      from: to - spanS * 1000,
      to,
      isMoney: this.facts.money,
      reference: this.facts.reference,
      zone: scene.zone,
      colours: scene.colours,
      font,
      crosshair: this.crosshair,
    });
    this.shown = { curves, zone: scene.zone };
    this.read();
    const values = curves.map((curve) => `${curve.label} ${curve.tag}`).join(", ");
    mark(this.canvas, "aria-label", `${this.name}, last ${this.options.span}: ${values || UNKNOWN}`);
  }

  point(x) {
    this.crosshair = x;
  }

  onKey(event) {
    const moves = { ArrowLeft: -1, ArrowRight: 1 };
    if (event.key === "Escape") this.point(null);
    if (!moves[event.key] || !this.painted) return;
    event.preventDefault();
    const { width } = this.painted.plot;
    const from = this.crosshair === null ? width : this.crosshair;
    this.point(Math.min(width, Math.max(0, from + moves[event.key] * (event.shiftKey ? 40 : 8))));
  }

  /** Write the values under the crosshair beside it. */
  read() {
    const { painted, crosshair } = this;
    const isShown = painted !== null && crosshair !== null && crosshair <= painted.plot.width;
    show(this.readout, isShown);
    if (!isShown) return;
    const at = painted.timeAt(crosshair);
    const zone = this.shown.zone;
    const lines = this.shown.curves.map(({ series, line, label }) => {
      const index = lowerBound(series.times, at + 1) - 1;
      const isHole = index < 0 || (index + 1 < series.times.length ? series.isGap(index) : at - series.times[index] > series.reach[index]);
      const text = isHole ? "gap" : known(line.values[index], COVERAGE_WORDS[line.coverage[index]], this.format);
      return `${label} ${text}`;
    });
    write(this.readout, [`${clock(at, zone)} ${zoneName(zone, at)}`, ...lines].join("\n"));
    mark(this.readout, "data-side", crosshair > painted.plot.width / 2 ? "left" : "right");
  }
}
