// The feeds: one light each, always with its word, and what stands behind it. Also the small lights of the top bar.

import { dress, element, mark, write } from "./dom.js";
import { Panel } from "./panel.js";
import { age, grouped, isNumber, milliseconds, plain, UNKNOWN } from "./text.js";

const SHAPES = { green: "●", amber: "◐", red: "✕", grey: "○" };

/** Return the shape of a light: readable without its colour. */
export function shapeOf(light) {
  return SHAPES[light] || SHAPES.grey;
}

/** Return the class of a light, "grey" for a word from outside that is none. */
export function lightClass(light) {
  return `light ${SHAPES[light] ? light : "grey"}`;
}

/** Return how far the books of a feed are, "" where it keeps none; its word may speak of books already. */
export function booksWords(feed) {
  const count = `${grouped(feed.books_primed)}/${grouped(feed.books_total)}`;
  if (!feed.books_total) return "";
  return String(feed.word).includes("book") ? count : `books ${count}`;
}

const COLUMNS = [
  ["age", "Last message"], ["latency", "Latency"], ["gaps", "Gaps"], ["resyncs", "Resyncs"], ["drops", "Drops"],
  ["reconnects", "Reconnects"],
];

export class FeedsPanel extends Panel {
  constructor() {
    super("feeds", "Feeds");
    write(this.title, "Feeds");
    this.list = element("ul", { class: "feed-list" });
    this.notes = element("ul", { class: "notes" });
    this.body.append(this.list, this.notes);
    this.rows = [];
  }

  render(scene) {
    const status = scene.store.status;
    const feeds = (status && status.feeds) || [];
    this.cover(scene.isLost || feeds.length ? "" : "Waiting for the state of the feeds.");
    const live = feeds.filter((feed) => feed.light === "green").length;
    write(this.detail, feeds.length ? `${live} of ${feeds.length} live` : "");
    while (this.rows.length > feeds.length) this.rows.pop().item.remove();
    while (this.rows.length < feeds.length) this.addRow();
    feeds.forEach((feed, index) => this.fill(this.rows[index], feed, scene));
    const notes = (status && status.notes) || [];
    while (this.notes.children.length > notes.length) this.notes.lastChild.remove();
    while (this.notes.children.length < notes.length) this.notes.append(element("li"));
    notes.forEach((note, index) => write(this.notes.children[index], plain(note, 300)));
  }

  addRow() {
    const shape = element("span", { class: "light", "aria-hidden": "true" });
    const name = element("span", { class: "feed-name" });
    const word = element("span", { class: "feed-word" });
    const reason = element("p", { class: "feed-reason" });
    const facts = {};
    const list = element("dl", { class: "facts" });
    for (const [key, label] of COLUMNS) {
      facts[key] = element("dd");
      list.append(element("div", {}, element("dt", { text: label }), facts[key]));
    }
    const item = element("li", {}, element("div", { class: "feed-line" }, shape, name, word), reason, list);
    this.list.append(item);
    this.rows.push({ item, shape, name, word, reason, facts });
  }

  fill(row, feed, scene) {
    const light = scene.isLost ? "grey" : feed.light;
    write(row.shape, shapeOf(light));
    dress(row.shape, lightClass(light));
    mark(row.item, "data-feed", plain(feed.feed));
    write(row.name, plain(feed.title || feed.feed));
    write(row.word, [scene.isLost ? `was ${plain(feed.word)}` : plain(feed.word), booksWords(feed)].filter(Boolean).join(" · "));
    write(row.reason, plain(feed.reason, 200));
    const since = scene.at - scene.store.statusAt;
    write(row.facts.age, isNumber(feed.age_ms) ? age(feed.age_ms + since) : "never");
    write(row.facts.latency, milliseconds(feed.latency_ms));
    for (const key of ["gaps", "resyncs", "drops", "reconnects"]) {
      write(row.facts[key], isNumber(feed[key]) ? grouped(feed[key]) : UNKNOWN);
    }
  }
}
