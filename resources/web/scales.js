// Chooses where axes have their labels, what these say, and where last-value tags go so that none covers another.

import { moment, two } from "./text.js";

const TIME_STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
const UNITS = [[1e12, " T"], [1e9, " B"], [1e6, " M"], [1e3, " K"], [1, ""]];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Return the labelled moments between two times (UTC ms), at round times of the zone: [{at, text}]. */
export function timeLabels(from, to, pixels, labelPixels, zone) {
  const least = ((to - from) / 1000) * (labelPixels / Math.max(pixels, 1));
  const step = TIME_STEPS_S.find((each) => each >= least) || TIME_STEPS_S[TIME_STEPS_S.length - 1];
  const offset = zone === "utc" ? 0 : -new Date(from).getTimezoneOffset() * 60;
  const found = [];
  for (let at = Math.ceil((from / 1000 + offset) / step) * step - offset; at * 1000 <= to; at += step) {
    const { day, month, hour, minute, second } = moment(at * 1000, zone);
    let text = `${two(hour)}:${two(minute)}`;
    if (step < 60) text += `:${two(second)}`;
    if (step >= 86400 || (hour === 0 && minute === 0 && second === 0)) text = `${day} ${MONTHS[month]}`;
    found.push({ at: at * 1000, text });
  }
  return found;
}

/** Return the labelled values of a range, all in one unit with the same decimals: [{value, text}]. */
export function valueLabels(low, high, pixels, labelPixels, isMoney) {
  const step = valueStep(high - low, pixels, labelPixels);
  const values = [];
  for (let i = Math.ceil(low / step - 1e-9); i <= Math.floor(high / step + 1e-9) && values.length < 100; i += 1) {
    values.push(i * step);
  }
  const largest = Math.max(...values.map(Math.abs), 0);
  const [unit, suffix] = (isMoney && UNITS.find(([size]) => largest >= size && step >= size / 1000)) || [1, ""];
  const scaled = step / unit;
  let decimals = 0;
  while (decimals < 6 && Math.abs(Number(scaled.toFixed(decimals)) - scaled) > 1e-6 * scaled) decimals += 1;
  return values.map((value) => {
    const text = (value / unit).toFixed(decimals);
    return { value, text: Number(text) === 0 ? "0" : (text + suffix).replace("-", "−") };
  });
}

/** Return the distance between two labels: 1, 2, 2.5 or 5 times a power of ten. */
export function valueStep(span, pixels, labelPixels) {
  const least = (span * labelPixels) / Math.max(pixels, 1);
  if (!(least > 0) || !Number.isFinite(least)) return 1;
  const power = 10 ** Math.floor(Math.log10(least));
  return ([1, 2, 2.5, 5].find((factor) => factor * power >= least * 0.999) || 10) * power;
}

/** Return a value range with air above and below; a reference value that is near is taken in. */
export function padded(low, high, reference) {
  if (reference !== null) {
    const reach = 0.5 * (high - low);
    if (low - reach <= reference && reference <= high + reach) {
      low = Math.min(low, reference);
      high = Math.max(high, reference);
    }
  }
  let span = high - low;
  if (span <= 1e-9 * Math.max(Math.abs(low), Math.abs(high))) {
    span = Math.max(Math.abs(high) * 0.02, 1e-6);
    const middle = (low + high) / 2;
    low = middle - span / 2;
    high = middle + span / 2;
  }
  return [low - 0.08 * span, high + 0.08 * span];
}

/** Return where tags of a height have their middle: near the wanted places, in order, apart; null where no room is. */
export function spread(wanted, size, low, high) {
  const room = Math.max(0, Math.floor((high - low) / size));
  const chosen = wanted.map((_, index) => index).slice(0, room).sort((a, b) => wanted[a] - wanted[b]);
  const places = wanted.map(() => null);
  const clamp = (value, top) => Math.min(Math.max(value, low), top);
  const groups = [];
  for (const index of chosen) {
    let group = { first: clamp(wanted[index] - size / 2, high - size), members: [index] };
    for (let before = groups[groups.length - 1]; before && before.first + before.members.length * size > group.first;
      before = groups[groups.length - 1]) {
      groups.pop();
      const members = [...before.members, ...group.members];
      const shift = group.first - before.members.length * size;
      const first = (before.first * before.members.length + shift * group.members.length) / members.length;
      group = { first: clamp(first, high - members.length * size), members };
    }
    groups.push(group);
  }
  for (const { first, members } of groups) {
    members.forEach((index, place) => {
      places[index] = first + (place + 0.5) * size;
    });
  }
  return places;
}
