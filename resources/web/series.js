// Keeps one indicator over time: stored minutes, ticks of the last two minutes and live values, in order of time.
//
// Each moment has a reach: how long it may be followed by the next one without a hole between them. A longer silence
// is a gap, which is drawn as a gap. When there are too many moments, older ones are thinned out, gaps kept.

const TICK_REACH_MS = 3000;
const MINUTE_REACH_MS = 125000;
const MOST = 6000;
const MOMENTS_SHOWN = 2500; // more than a screen has columns to tell apart
const COVERAGE = { missing: 0, partial: 1, floor: 2, exact: 3 };
export const COVERAGE_WORDS = ["missing", "partial", "floor", "exact"];

export class Series {
  /** `spanMs` is the time a chart shows. */
  constructor(spanMs) {
    this.spanMs = spanMs;
    this.times = [];
    this.reach = [];
    this.lines = new Map();
    this.newest = null;
    this.revision = 0;
  }

  /** Return the time of the last moment, -Infinity for none. */
  get last() {
    return this.times.length ? this.times[this.times.length - 1] : -Infinity;
  }

  /** Take in a live value: an `indicator` message. One that is older than what is held is left alone. */
  append(message) {
    const time = message.time;
    if (!Number.isFinite(time) || !Array.isArray(message.lines)) return;
    if (this.newest && time < this.newest.time) return;
    this.newest = message;
    this.revision += 1;
    if (time <= this.last) return;
    const before = this.times.length;
    this.times.push(time);
    this.reach.push(TICK_REACH_MS);
    for (const line of this.lines.values()) {
      line.values.push(NaN);
      line.coverage.push(0);
    }
    for (const given of message.lines) {
      const line = this.line(given.key, given.label, before + 1);
      line.values[before] = numberOf(given.value);
      line.coverage[before] = COVERAGE[given.coverage] || 0;
    }
    if (this.times.length > MOST) this.thin();
  }

  /** Take in stored history, {times, lines: [{key, label, values, coverage}]}; it replaces what is held of that span. */
  merge(points, isMinutes) {
    if (!points || !Array.isArray(points.times) || !Array.isArray(points.lines) || !points.times.length) return;
    const reach = isMinutes ? MINUTE_REACH_MS : TICK_REACH_MS;
    const order = points.times.map((time, index) => [time, index]).filter(([time]) => Number.isFinite(time))
      .sort((a, b) => a[0] - b[0]);
    if (!order.length) return;
    const from = order[0][0];
    // minutes never take the place of finer values
    const finer = isMinutes ? this.firstFine() : Infinity;
    const taken = order.filter(([time]) => time < finer);
    if (!taken.length) return;
    const to = taken[taken.length - 1][0];
    const head = lowerBound(this.times, from);
    const tail = lowerBound(this.times, to + 1);
    const held = this.times.length;
    for (const given of points.lines) this.line(given.key, given.label, held);
    const byKey = new Map(points.lines.map((given) => [given.key, given]));
    this.times = [...this.times.slice(0, head), ...taken.map(([time]) => time), ...this.times.slice(tail)];
    this.reach = [...this.reach.slice(0, head), ...taken.map(() => reach), ...this.reach.slice(tail)];
    for (const [key, line] of this.lines) {
      const given = byKey.get(key);
      const values = taken.map(([, index]) => (given ? numberOf(given.values[index]) : NaN));
      const coverage = taken.map(([, index]) => (given && given.coverage ? COVERAGE[given.coverage[index]] || 0 : 0));
      line.values = [...line.values.slice(0, head), ...values, ...line.values.slice(tail)];
      line.coverage = [...line.coverage.slice(0, head), ...coverage, ...line.coverage.slice(tail)];
    }
    this.revision += 1;
    if (this.times.length > MOST) this.thin();
  }

  /** Return the line of a key, made of nothing when it is new. */
  line(key, label, length) {
    let line = this.lines.get(key);
    if (!line) {
      line = { key, label: String(label), values: new Array(length).fill(NaN), coverage: new Array(length).fill(0) };
      this.lines.set(key, line);
    }
    return line;
  }

  /** Tell whether a gap lies between a moment and the next. */
  isGap(index) {
    return this.times[index + 1] - this.times[index] > Math.max(this.reach[index], this.reach[index + 1]);
  }

  /** Return the first moment that is finer than a minute. */
  firstFine() {
    const index = this.reach.findIndex((reach) => reach <= 2 * TICK_REACH_MS);
    return index < 0 ? Infinity : this.times[index];
  }

  /** Let go of what lies before the time shown and of moments too close together to be seen apart; gaps stay. */
  thin() {
    const from = this.last - 1.1 * this.spanMs;
    const spacing = this.spanMs / MOMENTS_SHOWN;
    const keep = [];
    for (let i = lowerBound(this.times, from); i < this.times.length; i += 1) {
      const before = keep[keep.length - 1];
      const isEdge = i === this.times.length - 1 || before === undefined || this.isGap(i) || this.isGap(i - 1);
      if (isEdge || this.times[i + 1] - this.times[before] > spacing) keep.push(i);
    }
    keep.splice(0, keep.length - MOST);
    for (let n = 0; n + 1 < keep.length; n += 1) {
      const [i, next] = [keep[n], keep[n + 1]];
      if (next > i + 1) this.reach[i] = Math.max(this.reach[i], this.times[next] - this.times[i]);
    }
    const pick = (list) => keep.map((index) => list[index]);
    this.times = pick(this.times);
    this.reach = pick(this.reach);
    for (const line of this.lines.values()) {
      line.values = pick(line.values);
      line.coverage = pick(line.coverage);
    }
  }
}

/** Return the first index whose time is not before `time`. */
export function lowerBound(times, time) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

function numberOf(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : NaN;
}
