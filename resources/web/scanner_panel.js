// The scanner: one row per instrument, sorted and filtered here. Rows keep their place while the pointer is over the
// table; a row that has not moved for long is grey and shows its age.

import { ageOf, COLUMNS, comparison, fitting, placeCode } from "./columns.js";
import { dress, element, mark, rem, write } from "./dom.js";
import { Panel, refusalWords } from "./panel.js";
import { age } from "./text.js";

const SORT_EVERY_MS = 1000;
const STALE_ROW_MS = 30000;
const FLASH_MS = 1200;

export class ScannerPanel extends Panel {
  constructor(options, onChange, onPick) {
    super("scanner", "Market scanner");
    this.options = options;
    this.onChange = onChange;
    this.onPick = onPick;
    write(this.title, "Scanner");
    this.filter = element("input", {
      type: "search", placeholder: "Filter", "aria-label": "Filter by symbol, venue or market", maxlength: "60", class: "filter",
      on: { input: () => this.change({ filter: this.filter.value }) },
    });
    this.filter.value = options.filter;
    this.count = element("span", { class: "count" });
    this.head.append(this.filter, this.count);
    this.headRow = element("tr");
    this.rowsNode = element("tbody");
    this.table = element("table", {}, element("caption", { class: "unseen", text: "Instruments" }),
      element("thead", {}, this.headRow), this.rowsNode);
    this.body.append(this.table);
    this.rows = new Map();
    this.columns = [];
    this.sorted = [];
    this.sortedAt = -Infinity;
    this.isHeld = false;
    this.table.addEventListener("pointerenter", (event) => this.hold(event.pointerType === "mouse"));
    this.table.addEventListener("pointerleave", () => this.hold(false));
    this.isMeasured = false;
    this.watcher = new ResizeObserver(() => {
      this.isMeasured = false;
    });
    this.watcher.observe(this.body);
  }

  needs() {
    const marketType = { spot: "SPOT", futures: "FUTURES", both: "ALL" }[this.options.market];
    return { rows: { venue: this.options.venue || "all", marketType, top: this.options.top } };
  }

  close() {
    this.watcher.disconnect();
  }

  hold(isHeld) {
    this.isHeld = isHeld;
  }

  change(part) {
    Object.assign(this.options, part);
    this.sortedAt = -Infinity;
    this.onChange();
  }

  /** Choose the columns that fit the panel. */
  fit() {
    this.isMeasured = true;
    const hidden = new Set();
    if (this.options.venue) hidden.add("venue");
    if (this.options.market !== "both") hidden.add("marketType");
    const columns = fitting(this.body.clientWidth / (rem() * 0.8125) - 1, hidden);
    if (columns.map((column) => column.key).join() === this.columns.map((column) => column.key).join()) return;
    this.columns = columns;
    // where a symbol would be there twice for want of these columns, its cell says the place
    this.isTagged = !["venue", "marketType"].every((key) => hidden.has(key) || columns.some((column) => column.key === key));
    this.rowsNode.replaceChildren();
    this.rows.clear();
    this.headRow.replaceChildren(...columns.map((column) => this.headCell(column)));
    this.sortedAt = -Infinity;
  }

  headCell(column) {
    const sort = () => {
      const isSame = this.options.sort === column.key;
      const usual = column.isText ? "up" : "down";
      const other = this.options.order === "up" ? "down" : "up";
      this.change({ sort: column.key, order: isSame ? other : usual });
    };
    const button = element("button", { type: "button", title: column.long || column.label, on: { click: sort } });
    const cell = element("th", { scope: "col", class: column.isText ? "word" : "number", "data-column": column.key }, button);
    const whole = this.columns.reduce((sum, each) => sum + each.width, 0);
    cell.style.width = `${(100 * column.width) / whole}%`;
    return cell;
  }

  render(scene) {
    const { store, at } = scene;
    if (!this.isMeasured) this.fit();
    this.markHead();
    if (at - this.sortedAt >= SORT_EVERY_MS && (!this.isHeld || this.sortedAt === -Infinity)) this.sort(store, at);
    this.cover(scene.isLost || store.rows.size ? "" : refusalWords(store, ["rows"]) || "Waiting for the first instruments.");
    const held = this.isHeld && !scene.isLost ? "order held under the pointer" : "";
    write(this.detail, held);
    write(this.count, `${this.sorted.length}${this.sorted.length === store.rows.size ? "" : ` of ${store.rows.size}`}`);
    this.place();
    for (const key of this.sorted) {
      const row = store.rows.get(key);
      if (row) this.fillRow(this.rows.get(key), row, scene);
    }
  }

  sort(store, at) {
    this.sortedAt = at;
    const column = COLUMNS.find((each) => each.key === this.options.sort) || COLUMNS.find((each) => each.key === "volume_24h");
    const words = this.options.filter.trim().toUpperCase().split(/\s+/).filter(Boolean);
    const fits = (row) => {
      const text = `${row.data.symbol} ${row.venue} ${row.data.marketType}`.toUpperCase();
      return words.every((word) => text.includes(word));
    };
    this.sorted = [...store.rows.values()].filter(fits)
      .sort(comparison(column, this.options.order === "down", at)).slice(0, this.options.top).map((row) => row.key);
  }

  markHead() {
    const cells = [...this.headRow.children];
    this.columns.forEach((column, index) => {
      const isSorted = column.key === this.options.sort;
      const isDown = this.options.order === "down";
      write(cells[index].firstChild, column.label + (isSorted ? (isDown ? " ↓" : " ↑") : ""));
      mark(cells[index], "aria-sort", isSorted ? (isDown ? "descending" : "ascending") : null);
    });
  }

  /** Put the rows into their order, moving as few as can be. */
  place() {
    const wanted = new Set(this.sorted);
    for (const [key, row] of this.rows) {
      if (wanted.has(key)) continue;
      row.node.remove();
      this.rows.delete(key);
    }
    let next = this.rowsNode.firstChild;
    for (const key of this.sorted) {
      let row = this.rows.get(key);
      if (!row) this.rows.set(key, (row = this.newRow()));
      if (row.node === next) next = next.nextSibling;
      else this.rowsNode.insertBefore(row.node, next);
    }
  }

  newRow() {
    const node = element("tr");
    const cells = this.columns.map((column) => {
      const cell = element(column.key === "symbol" ? "th" : "td", column.key === "symbol" ? { scope: "row" } : {});
      if (column.key === "symbol") {
        cell.append(element("button", { type: "button", class: "pick", on: { click: () => node.pick && node.pick() } }),
          element("span", { class: "place" }));
      }
      node.append(cell);
      return cell;
    });
    return { node, cells };
  }

  fillRow(place, row, { at, isLost }) {
    const rowAge = ageOf(row, at);
    const isStale = isLost || !(rowAge <= STALE_ROW_MS);
    dress(place.node, isStale ? "stale" : "");
    mark(place.node, "title", isStale ? `No change for ${age(rowAge)}` : null);
    place.node.pick = () => this.onPick(row);
    this.columns.forEach((column, index) => {
      const cell = place.cells[index];
      let text = column.text(row, at);
      let classes = column.isText ? "word" : "number";
      if (column.dress && !isStale) classes += ` ${column.dress(row)}`;
      if (column.moves && row.direction) {
        text = `${row.direction > 0 ? "▴" : "▾"} ${text}`;
        if (!isStale && at - row.movedAt < FLASH_MS) classes += row.direction > 0 ? " rose" : " fell";
      }
      write(column.key === "symbol" ? cell.firstChild : cell, text);
      dress(cell, classes);
      if (column.key === "symbol") write(cell.lastChild, this.isTagged ? placeCode(row) : "");
      if (column.title) mark(cell, "title", column.title(row) || null);
    });
  }
}
