// Puts the page together: reads the address, builds the panels, keeps one heart beating that connects, asks and paints.

import { AlertsPanel } from "./alerts_panel.js";
import { Bar } from "./bar.js";
import { BookPanel } from "./book_panel.js";
import { ChartPanel } from "./chart_panel.js";
import { readColours } from "./colours.js";
import { rem, show, write, element } from "./dom.js";
import { FeedsPanel } from "./feeds_panel.js";
import { bookKey, Link, seriesKey } from "./link.js";
import { address, parse, SPANS } from "./options.js";
import { ScannerPanel } from "./scanner_panel.js";
import { Store } from "./store.js";
import { plain } from "./text.js";

const BEAT_MS = 200;
const WIDTHS = [[44, "narrow"], [64, "small"], [104, "medium"], [Infinity, "wide"]];

class Page {
  constructor() {
    this.main = document.getElementById("main");
    this.notice = document.getElementById("notice");
    this.what = element("p", { class: "what" });
    this.next = element("p", { class: "next", "aria-hidden": "true" });
    this.coverNode = document.getElementById("cover");
    this.coverNode.append(element("div", { class: "card" }, this.what, this.next));
    this.store = new Store();
    this.options = parse(location.search);
    this.link = new Link(this.store, this.options.zone);
    this.panels = [];
    this.look = 0;
    this.version = null;
    this.prefersLight = window.matchMedia("(prefers-color-scheme: light)");
    this.prefersLight.addEventListener("change", () => this.dress());
    window.addEventListener("resize", () => this.measure());
    window.addEventListener("popstate", () => this.build(parse(location.search)));
    window.addEventListener("online", () => this.link.hurry());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.beat();
    });
    this.build(this.options);
  }

  /** Show what the options say. */
  build(options) {
    this.options = options;
    this.link.zone = options.zone;
    this.dress();
    this.bar = new Bar(document.getElementById("bar"), options, (part) => this.change(part));
    for (const panel of this.panels) panel.close();
    const { shape, tiles } = options.layout;
    this.panels = tiles.map((tile) => this.panel(tile));
    this.main.className = `grid ${shape}`;
    const columns = options.columns || Math.ceil(Math.sqrt(tiles.length));
    this.main.style.setProperty("--columns", String(columns));
    this.main.style.setProperty("--rows", String(Math.ceil(tiles.length / columns)));
    this.main.replaceChildren(...this.panels.map((panel) => panel.node));
    write(this.notice, options.notes.join(" "));
    show(this.notice, options.notes.length > 0);
    this.need();
    this.beat();
  }

  panel(tile) {
    switch (tile.kind) {
      case "chart":
        return new ChartPanel(tile, this.options);
      case "scanner":
        return new ScannerPanel(this.options, () => this.remember(true), (row) => this.pick(row));
      case "book":
        return new BookPanel(tile);
      case "alerts":
        return new AlertsPanel();
      default:
        return new FeedsPanel();
    }
  }

  /** Ask the server for what the panels show, each thing once. */
  need() {
    const needs = { indicators: new Map(), books: new Map(), rows: null, spanS: SPANS[this.options.span] };
    for (const panel of this.panels) {
      const wanted = panel.needs();
      for (const need of wanted.indicators || []) needs.indicators.set(seriesKey(need), need);
      for (const book of wanted.books || []) needs.books.set(bookKey(book), book);
      needs.rows = wanted.rows || needs.rows;
    }
    this.store.keepOnly(needs.indicators, needs.books, needs.spanS * 1000);
    this.link.need({ ...needs, indicators: [...needs.indicators.values()], books: [...needs.books.values()] });
  }

  /** Change the address and show what it says now. */
  change(part) {
    const { depth, ...rest } = part;
    const wanted = { ...this.options, ...rest };
    if (rest.symbol !== undefined) Object.assign(wanted, { symbolVenue: "", symbolMarket: "" });
    if (depth !== undefined) wanted.depths = depth === "all" ? null : depth.split(",").map(Number);
    this.options = wanted;
    this.remember(false);
    this.build(parse(location.search));
  }

  /** Write the options into the address. */
  remember(isSmall) {
    history[isSmall ? "replaceState" : "pushState"](null, "", address(this.options));
  }

  pick(row) {
    const market = row.data.marketType === "FUTURES" ? "futures" : "spot";
    // indicators go by the pair, which a futures market may spell in another way
    const part = { symbol: `${row.venue}.${market}:${row.data.pair || row.data.symbol}` };
    const hasBook = this.options.layout.tiles.some((tile) => tile.kind === "book");
    this.change(hasBook ? part : { ...part, view: "coin" });
  }

  /** Put on theme, colour pair and scale. */
  dress() {
    const root = document.documentElement;
    const { theme, pair, scale } = this.options;
    root.dataset.theme = theme === "auto" ? (this.prefersLight.matches ? "light" : "dark") : theme;
    root.dataset.pair = pair;
    root.style.fontSize = `${16 * scale}px`;
    this.colours = readColours();
    this.look += 1;
    this.measure();
  }

  measure() {
    // a screen without controls is a wall or a television: it keeps its frame however large the letters are
    const least = this.options.controls === "off" && window.innerWidth >= 600 ? 64 : 0;
    const width = Math.max(least, window.innerWidth / rem());
    document.documentElement.dataset.width = WIDTHS.find(([limit]) => width < limit)[1];
  }

  /** One beat: connect or ask if due, then show what there is. */
  beat() {
    const at = performance.now();
    this.link.step(at);
    if (document.hidden) return;
    try {
      this.render(at);
    } catch (error) {
      // a page that cannot paint must not leave its last numbers standing as if they were live
      write(this.what, "This page has failed and shows old values. Load it again.");
      write(this.next, String(error));
      show(this.coverNode, true);
      throw error;
    }
  }

  render(at) {
    const { link, store } = this;
    const isLost = link.phase === "lost" || link.phase === "locked";
    const scene = { at, now: store.now(isLost ? store.clockAt : at), store, link, isLost, zone: this.options.zone, colours: this.colours, look: this.look };
    const [what, next] = link.sentence(at);
    show(this.coverNode, isLost);
    if (isLost) {
      write(this.what, what);
      write(this.next, next);
    }
    if (document.documentElement.dataset.link !== link.phase) document.documentElement.dataset.link = link.phase;
    this.bar.render(scene);
    for (const panel of this.panels) panel.render(scene);
    this.entitle(isLost);
    this.renew();
  }

  /** Say in the tab's title whether the numbers are live. */
  entitle(isLost) {
    const first = this.panels.find((panel) => panel.node.dataset.kind === "chart") || this.panels[0];
    const mode = this.store.status ? plain(this.store.status.mode) : "";
    const title = `${isLost ? "✕ not live" : this.link.phase === "live" ? `● ${mode}` : "◐ connecting"} · ${first.title.textContent} · Fathom`;
    if (document.title !== title) document.title = title;
  }

  /** Load the page anew when the program behind it was updated. */
  renew() {
    const { status } = this.store;
    if (!status || !status.version) return;
    if (this.version === null) this.version = status.version;
    else if (this.version !== status.version) location.reload();
  }
}

const page = new Page();
setInterval(() => page.beat(), BEAT_MS);
