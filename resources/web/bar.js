// The top bar: what runs (LIVE, REPLAY, DEMO; READ-ONLY), how this page is connected, the feeds, the clock, and the
// choices, all of which are in the address too.

import { choice, dress, element, mark, show, write } from "./dom.js";
import { booksWords, lightClass, shapeOf } from "./feeds_panel.js";
import { address, DEPTHS, GROUPS, MARKETS, parse, SPANS, symbolText, VENUES, VIEWS } from "./options.js";
import { age, capital, clock, isNumber, plain, zoneName } from "./text.js";

const LINK_SHAPES = { live: ["●", "green"], polling: ["◐", "amber"], connecting: ["◐", "amber"], lost: ["✕", "red"], locked: ["✕", "red"] };
const LINK_WORDS = { live: "connected", polling: "polling", connecting: "connecting", lost: "connection lost", locked: "no access" };

export class Bar {
  constructor(node, options, onChange) {
    this.options = options;
    this.onChange = onChange;
    this.mode = element("span", { class: "badge mode", role: "status", "aria-label": "Mode" });
    this.readOnly = element("span", { class: "badge", text: "READ-ONLY", title: "This page shows; it cannot change or order anything" });
    this.lights = element("ul", { class: "lights", "aria-label": "Feeds" });
    this.linkShape = element("span", { class: "light", "aria-hidden": "true" });
    this.linkWords = element("span", { id: "link", role: "status" });
    this.ageWords = element("span", { class: "data-age" });
    this.clock = element("time", { class: "clock" });
    const facts = element("div", { class: "facts-line" },
      element("a", { class: "brand", href: "/", text: "Fathom" }), this.mode, this.readOnly,
      element("span", { class: "link" }, this.linkShape, this.linkWords, this.ageWords, this.clock));
    node.replaceChildren(facts, this.lights);
    if (options.controls === "on") {
      node.append(this.controls());
      const current = node.querySelector("[aria-current]");
      if (current) current.parentNode.scrollLeft = current.offsetLeft - 40;
    }
  }

  controls() {
    const { options } = this;
    const views = element("nav", { "aria-label": "Views" }, ...VIEWS.map(([view, words]) => element("a", {
      href: address(parse(address({ ...options, view }).slice(1))),
      "aria-current": view === options.view ? "page" : null,
      text: words,
      on: { click: (event) => this.follow(event, { view }) },
    })));
    const set = (name) => (value) => this.onChange({ [name]: value });
    const depths = options.depths ? options.depths.join(",") : "all";
    const symbol = element("input", {
      type: "text", "aria-label": "Symbol", title: "Symbol: BTCUSDT, or bybit.futures:ETHUSDT", size: "12", maxlength: "60",
      spellcheck: "false", autocapitalize: "characters", on: { change: () => this.onChange({ symbol: symbol.value }) },
    });
    symbol.value = symbolText(options);
    const isDark = document.documentElement.dataset.theme !== "light";
    const look = element("button", {
      type: "button", text: isDark ? "Light" : "Dark", title: `Change to the ${isDark ? "light" : "dark"} look`,
      on: { click: () => this.onChange({ theme: isDark ? "light" : "dark" }) },
    });
    // on a phone the choices fold away; elsewhere they are always open
    const choices = element("div", { class: "choices", id: "choices" });
    const fold = element("button", {
      type: "button", class: "fold", text: "Choose", "aria-expanded": "false", "aria-controls": "choices",
      on: {
        click: () => {
          const isOpen = choices.classList.toggle("open");
          fold.setAttribute("aria-expanded", String(isOpen));
        },
      },
    });
    choices.append(
      choice("Venue", options.venue, [["", "Venues"], ...VENUES.map((venue) => [venue, capital(venue)])], set("venue")),
      choice("Market", options.market, Object.keys(MARKETS).map((market) => (
        [market, market === "both" ? "SPOT + FUTURES" : market.toUpperCase()])), set("market")),
      choice("Group", options.group, GROUPS.map((group) => [group, group]), set("group")),
      choice("Depth", depths, [...DEPTHS.map((depth) => [String(depth), `${depth} %`]), ["all", "all depths"]], set("depth")),
      choice("Time shown", options.span, Object.keys(SPANS).map((span) => [span, span]), set("span")),
      symbol, look);
    return element("div", { class: "controls" }, views, fold, choices);
  }

  /** Change without loading the page again; with a modifier key the link is a link. */
  follow(event, part) {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    this.onChange(part);
  }

  render(scene) {
    const { store, link, at } = scene;
    const { status } = store;
    const mode = status ? plain(status.mode) : "…";
    write(this.mode, scene.isLost && status ? `NOT LIVE · WAS ${mode}` : mode);
    dress(this.mode, `badge mode ${scene.isLost ? "lost" : { LIVE: "live", DEMO: "demo", REPLAY: "replay" }[mode] || ""}`);
    mark(this.mode, "title", status ? plain(status.mode_detail, 200) || null : null);
    const [shape, light] = LINK_SHAPES[link.phase];
    write(this.linkShape, shape);
    dress(this.linkShape, `light ${light}`);
    write(this.linkWords, LINK_WORDS[link.phase]);
    mark(this.linkWords, "title", link.sentence(at).join(" "));
    const heard = Math.max(link.heardAt, link.answeredAt);
    write(this.ageWords, Number.isFinite(heard) ? `data ${age(at - heard)} old` : "no data yet");
    const now = isNumber(scene.now) ? scene.now : Date.now();
    write(this.clock, `${clock(now, scene.zone)} ${zoneName(scene.zone, now)}`);
    dress(this.clock, `clock ${scene.isLost ? "stale" : ""}`);
    this.fillLights((status && status.feeds) || [], scene);
  }

  fillLights(feeds, scene) {
    while (this.lights.children.length > feeds.length) this.lights.lastChild.remove();
    while (this.lights.children.length < feeds.length) {
      this.lights.append(element("li", {}, element("span", { "aria-hidden": "true" }), element("span", { class: "name" }), element("span", { class: "word" })));
    }
    feeds.forEach((feed, index) => {
      const item = this.lights.children[index];
      const light = scene.isLost ? "grey" : feed.light;
      const word = scene.isLost ? "unknown" : plain(feed.word);
      write(item.children[0], shapeOf(light));
      dress(item.children[0], lightClass(light));
      write(item.children[1], plain(feed.title || feed.feed));
      write(item.children[2], word === "live" || scene.isLost ? word : [word, booksWords(feed)].filter(Boolean).join(" "));
      mark(item, "title", [plain(feed.title || feed.feed), word, booksWords(feed), plain(feed.reason, 160)].filter(Boolean).join(" · "));
    });
    show(this.lights, feeds.length > 0);
  }
}
