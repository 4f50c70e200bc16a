// Paints curves on a canvas: grid, time axis, value axis with last-value tags, crosshair. Exact values are a solid line,
// floors and partial values a dashed one, floors hatched below as well; gaps are left open.

import { COVERAGE_WORDS, lowerBound } from "./series.js";
import { padded, spread, timeLabels, valueLabels } from "./scales.js";
import { isNumber } from "./text.js";

const MISSING = 0;
const FLOOR = 2;
const EXACT = 3;

/**
 * Paint one chart.
 *
 * `view`: curves [{series, line, colour, isThick, isStale, tag}], from and to (UTC ms), isMoney, reference, zone, colours, font
 * (px), crosshair (x in px or null), format(value). Returns the plot's rectangle for the crosshair.
 */
export function paint(canvas, view) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (width < 20 || height < 20) return null;
  const wide = Math.round(width * ratio);
  const high = Math.round(height * ratio);
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = view.colours.panel;
  context.fillRect(0, 0, width, height);
  context.font = `${view.font}px ${view.colours.font}`;
  context.textBaseline = "middle";

  const range = valueRange(view);
  const [bottom, top] = range || [0, 1];
  const labelHeight = view.font * 1.6;
  const plotHeight = height - labelHeight;
  const labels = range ? valueLabels(bottom, top, plotHeight, view.font * 2.6, view.isMoney) : [];
  const texts = [...labels.map((label) => label.text), ...view.curves.map((curve) => curve.tag)];
  const axisWidth = Math.ceil(Math.max(view.font * 3, ...texts.map((text) => context.measureText(text).width)) + view.font * 1.6);
  const plot = { left: 0, top: 0, width: Math.max(20, width - axisWidth), height: plotHeight };
  const x = (time) => ((time - view.from) / (view.to - view.from)) * plot.width;
  const y = (value) => ((top - value) / (top - bottom)) * plot.height;

  paintTimes(context, view, plot, x, labelHeight);
  paintGrid(context, view, plot, labels, y);
  context.save();
  context.beginPath();
  context.rect(plot.left, plot.top, plot.width, plot.height);
  context.clip();
  if (range && view.reference !== null) paintReference(context, view, plot, y(view.reference));
  if (range) for (const curve of view.curves) paintCurve(context, view, curve, plot, x, y, ratio);
  context.restore();
  const tags = range ? placeTags(view, plot, y) : [];
  paintValues(context, view, plot, labels, y, tags);
  paintTags(context, view, plot, tags, axisWidth);
  if (isNumber(view.crosshair)) paintCrosshair(context, view, plot);
  return { plot, range, timeAt: (px) => view.from + (px / plot.width) * (view.to - view.from) };
}

/** Return the lowest and highest value to be seen, with air; null when there is none. */
function valueRange(view) {
  let low = Infinity;
  let high = -Infinity;
  for (const { series, line } of view.curves) {
    const start = Math.max(0, lowerBound(series.times, view.from) - 1);
    for (let i = start; i < series.times.length && series.times[i] <= view.to; i += 1) {
      const value = line.values[i];
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return high >= low ? padded(low, high, view.reference) : null;
}

function paintTimes(context, view, plot, x, labelHeight) {
  const { colours, font } = view;
  context.strokeStyle = colours.border;
  context.fillStyle = colours.muted;
  context.lineWidth = 1;
  context.textAlign = "center";
  for (const { at, text } of timeLabels(view.from, view.to, plot.width, font * 7, view.zone)) {
    const px = Math.round(x(at)) + 0.5;
    stroke(context, px, 0, px, plot.height, 0.7);
    const half = context.measureText(text).width / 2;
    if (px - half > 0 && px + half < plot.width) context.fillText(text, px, plot.height + labelHeight / 2);
  }
  stroke(context, 0, plot.height + 0.5, plot.width, plot.height + 0.5, 1);
  stroke(context, plot.width + 0.5, 0, plot.width + 0.5, plot.height, 1);
}

function paintGrid(context, view, plot, labels, y) {
  context.strokeStyle = view.colours.border;
  for (const { value } of labels) {
    const py = Math.round(y(value)) + 0.5;
    if (py > 2 && py < plot.height - 2) stroke(context, 0, py, plot.width, py, 0.7);
  }
}

function paintReference(context, view, plot, py) {
  context.strokeStyle = view.colours.muted;
  context.setLineDash([2, 3]);
  stroke(context, 0, Math.round(py) + 0.5, plot.width, Math.round(py) + 0.5, 1);
  context.setLineDash([]);
}

/** Draw one curve as runs of equal coverage; more moments than pixels are drawn as the span of each pixel column. */
function paintCurve(context, view, curve, plot, x, y, ratio) {
  const { series, line } = curve;
  const { times } = series;
  const thickness = Math.max(1, view.font / 12) * (curve.isThick ? 2 : 1.25);
  context.lineWidth = thickness;
  context.strokeStyle = curve.isStale ? view.colours.muted : curve.colour;
  context.lineJoin = "round";
  const start = Math.max(0, lowerBound(times, view.from) - 1);
  const column = 1 / ratio;
  let run = null;
  const finish = () => {
    if (run) paintRun(context, run, view, thickness);
    run = null;
  };
  for (let i = start; i < times.length && times[i] <= view.to; i += 1) {
    const value = line.values[i];
    if (!(value === value) || line.coverage[i] === MISSING) {
      finish();
      continue;
    }
    const kind = line.coverage[i];
    const px = x(times[i]);
    const py = y(value);
    if (run && run.kind !== kind) {
      const tail = run.points[run.points.length - 1];
      const isTorn = series.isGap(i - 1);
      finish();
      // the line leads on from the last value, in its new manner
      run = { kind, points: isTorn ? [] : [{ x: tail.x, low: tail.last, high: tail.last, first: tail.last, last: tail.last }] };
    } else if (run && i > start && series.isGap(i - 1)) finish();
    if (!run) run = { kind, points: [] };
    const before = run.points[run.points.length - 1];
    if (before && px - before.x < column) {
      before.low = Math.max(before.low, py);
      before.high = Math.min(before.high, py);
      before.last = py;
    } else run.points.push({ x: px, low: py, high: py, first: py, last: py });
  }
  finish();
}

function paintRun(context, run, view, thickness) {
  const { points } = run;
  if (points.length === 1 && points[0].low - points[0].high < 1) {
    context.fillStyle = context.strokeStyle;
    context.fillRect(points[0].x - thickness, points[0].last - thickness, 2 * thickness, 2 * thickness);
    return;
  }
  context.setLineDash(run.kind === EXACT ? [] : [view.font * 0.5, view.font * 0.35]);
  context.beginPath();
  points.forEach((point, index) => {
    if (index === 0) context.moveTo(point.x, point.first);
    else context.lineTo(point.x, point.first);
    if (point.low - point.high > 0.5) {
      context.lineTo(point.x, point.low);
      context.lineTo(point.x, point.high);
      context.lineTo(point.x, point.last);
    }
  });
  context.stroke();
  context.setLineDash([]);
  if (run.kind === FLOOR) paintHatch(context, points, view.font);
}

/** Hatch the lower edge of a floor: what is missing would lie above. */
function paintHatch(context, points, font) {
  const length = font * 0.55;
  context.save();
  context.lineWidth = 1;
  context.globalAlpha = 0.6;
  context.beginPath();
  let next = points[0].x;
  for (let i = 1; i < points.length; i += 1) {
    const before = points[i - 1];
    const point = points[i];
    while (next <= point.x) {
      const share = point.x > before.x ? (next - before.x) / (point.x - before.x) : 0;
      const py = before.last + (point.first - before.last) * share;
      context.moveTo(next, py);
      context.lineTo(next - length * 0.7, py + length);
      next += font * 0.6;
    }
  }
  context.stroke();
  context.restore();
}

function placeTags(view, plot, y) {
  const size = Math.round(view.font * 1.45);
  const tagged = view.curves.filter((curve) => isNumber(curve.lastValue));
  const wanted = tagged.map((curve) => Math.min(Math.max(y(curve.lastValue), 0), plot.height));
  const places = spread(wanted, size, 0, plot.height);
  return tagged.map((curve, index) => ({ curve, size, from: wanted[index], middle: places[index] }))
    .filter((tag) => tag.middle !== null);
}

function paintValues(context, view, plot, labels, y, tags) {
  context.fillStyle = view.colours.muted;
  context.textAlign = "left";
  for (const { value, text } of labels) {
    const py = y(value);
    const isCovered = tags.some((tag) => Math.abs(tag.middle - py) < tag.size);
    if (!isCovered && py > view.font * 0.6 && py < plot.height - view.font * 0.6) {
      context.fillText(text, plot.width + view.font * 0.8, py);
    }
  }
}

function paintTags(context, view, plot, tags, axisWidth) {
  context.textAlign = "center";
  const indent = view.font * 0.5;
  for (const { curve, size, from, middle } of tags) {
    const isExact = curve.lastCoverage === COVERAGE_WORDS[EXACT];
    const colour = curve.isStale ? view.colours.muted : curve.colour;
    const left = plot.width + indent;
    const width = axisWidth - indent - 1;
    context.strokeStyle = colour;
    stroke(context, plot.width, from, left, middle, 1);
    context.fillStyle = isExact ? colour : view.colours.panel;
    context.fillRect(left, middle - size / 2 + 0.5, width, size - 1);
    context.lineWidth = Math.max(1, view.font / 12);
    if (!isExact) {
      context.setLineDash([view.font * 0.35, view.font * 0.2]);
      context.strokeRect(left + 0.5, middle - size / 2 + 1, width - 1, size - 2);
      context.setLineDash([]);
    }
    context.fillStyle = isExact ? inkOn(context, colour) : view.colours.text;
    context.fillText(curve.tag, left + width / 2, middle + 0.5);
  }
}

function paintCrosshair(context, view, plot) {
  const px = Math.round(Math.min(Math.max(view.crosshair, 0), plot.width)) + 0.5;
  context.strokeStyle = view.colours.muted;
  stroke(context, px, 0, px, plot.height, 1);
}

function stroke(context, fromX, fromY, toX, toY, alpha) {
  context.globalAlpha = alpha;
  context.beginPath();
  context.moveTo(fromX, fromY);
  context.lineTo(toX, toY);
  context.stroke();
  context.globalAlpha = 1;
}

const inks = new Map();

/** Return near-black or white, whichever reads better on a colour. */
function inkOn(context, colour) {
  let ink = inks.get(colour);
  if (!ink) {
    context.fillStyle = colour; // a canvas turns every colour into #rrggbb
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(context.fillStyle.slice(at, at + 2), 16) / 255);
    ink = 0.299 * red + 0.587 * green + 0.114 * blue > 0.52 ? "#0b0e12" : "#ffffff";
    inks.set(colour, ink);
  }
  return ink;
}
