// Takes the colours of the page from its style sheet and gives every curve its own, as the desktop does: volumes take
// the ramp of their side, ratios the hue of their market with the depth as brightness.

import { DEPTHS } from "./options.js";

const RATIO_HUES = { SPOT: 207, FUTURES: 45 };
const DIFF_HUES = { SPOT: 265, FUTURES: 311 };

/** Return the colours in force, read from the custom properties of the page. */
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  const take = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    isDark: document.documentElement.dataset.theme !== "light",
    panel: take("panel"),
    raised: take("raised"),
    border: take("border"),
    text: take("text"),
    muted: take("muted"),
    up: take("up"),
    down: take("down"),
    font: style.getPropertyValue("font-family") || "sans-serif",
    bid: DEPTHS.map((_, index) => take(`bid-${index}`)),
    ask: DEPTHS.map((_, index) => take(`ask-${index}`)),
  };
}

/** Return the parts of a line's key: "totals:bid5" is {side: "bid", depth: 5}, "delta:5" {side: "", depth: 5}. */
export function lineParts(key) {
  const found = /:(bid|ask|diff)?([\d.]+)$/.exec(key);
  return found ? { side: found[1] || "", depth: Number(found[2]) } : null;
}

/** Return the colour of a line among the depths shown beside it. */
export function lineColour(colours, parts, market, depths, isOverlaid) {
  const band = Math.max(0, DEPTHS.indexOf(parts.depth));
  if (parts.side === "bid" || parts.side === "ask") {
    const colour = colours[parts.side][band];
    return isOverlaid && market === "FUTURES" ? mixed(colour, colours.text, 0.35) : colour;
  }
  const rank = depths.length > 1 ? depths.indexOf(parts.depth) / (depths.length - 1) : 0.5;
  const hue = (parts.side === "diff" ? DIFF_HUES : RATIO_HUES)[market] || 0;
  const lightness = colours.isDark ? 80 - 26 * rank : 48 - 22 * rank;
  return `hsl(${hue}, ${Math.round(62 + 28 * rank)}%, ${Math.round(lightness)}%)`;
}

/** Return a "#rrggbb" with a share of another. */
export function mixed(first, second, share) {
  const parts = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
  const other = parts(second);
  const whole = parts(first).map((value, index) => Math.round(value + (other[index] - value) * share));
  return whole.some(Number.isNaN) ? first : `#${whole.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}
