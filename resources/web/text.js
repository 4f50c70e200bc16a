// Turns numbers into the words a person reads, as the desktop does: "≥ 41.2 M" is a floor, "≈ 0.84" partial,
// "—" unknown. NaN and infinities never reach the screen.

export const UNKNOWN = "—";
const UNITS = [[1e12, " T"], [1e9, " B"], [1e6, " M"], [1e3, " K"]];
const SIGNS = { exact: "", floor: "≥ ", partial: "≈ ", missing: "" };

/** Tell a number that can be shown from null, NaN, infinity and everything else. */
export function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/** Return a size or an amount with a unit: 1250000 -> "1.25 M". */
export function volume(value, digits = 3) {
  if (!isNumber(value)) return UNKNOWN;
  const magnitude = Math.abs(value);
  for (const [unit, suffix] of UNITS) {
    // 999,999 would read "1000 K"
    if (magnitude >= unit || magnitude >= unit * (1 - 0.5 * 10 ** -digits)) {
      return minus(significant(Math.sign(value) * Math.max(magnitude / unit, 1), digits) + suffix);
    }
  }
  return minus(significant(value, digits));
}

function significant(value, digits) {
  const magnitude = Math.abs(value);
  if (magnitude === 0) return "0";
  const whole = Math.floor(Math.log10(magnitude)) + 1;
  let text = value.toFixed(Math.min(8, Math.max(0, digits - whole)));
  if (magnitude < 1 && text.includes(".")) text = text.replace(/\.?0+$/, "");
  return text === "-0" || text === "" ? "0" : text;
}

function minus(text) {
  return text.replace("-", "−");
}

/** Return a price with about six significant digits and thousands separators. */
export function price(value) {
  if (!isNumber(value)) return UNKNOWN;
  const magnitude = Math.abs(value);
  const whole = magnitude > 0 ? Math.floor(Math.log10(magnitude)) + 1 : 1;
  return grouped(value, Math.min(10, Math.max(2, (whole > 0 ? 6 : 5) - whole)));
}

/** Return a number with thousands separators and so many decimals. */
export function grouped(value, decimals = 0) {
  if (!isNumber(value)) return UNKNOWN;
  const [whole, fraction] = value.toFixed(decimals).split(".");
  const parts = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return minus(fraction ? `${parts}.${fraction}` : parts);
}

/** Return a plain ratio such as bid/ask: 0.8437 -> "0.844". */
export function ratio(value, decimals = 3) {
  return grouped(value, decimals);
}

/** Return percent points: 3.84 -> "3.8 %". */
export function percent(value, decimals = 1) {
  return isNumber(value) ? `${minus(value.toFixed(decimals))} %` : UNKNOWN;
}

/** Return a number with its sign always written: 3.84 -> "+3.84". */
export function signed(value, decimals = 2) {
  const text = grouped(value, decimals);
  return isNumber(value) && Number(value.toFixed(decimals)) > 0 ? `+${text}` : text.replace(/^−(0\.?0*)$/, "$1");
}

/** Return a value with the sign of how well it is known. */
export function known(value, coverage, formatter) {
  if (!isNumber(value) || coverage === "missing") return UNKNOWN;
  const sign = SIGNS[coverage];
  return (sign === undefined ? SIGNS.partial : sign) + formatter(value);
}

/** Return how well a value is known, in words. */
export function coverageWords(coverage) {
  return { exact: "exact", floor: "a floor (at least this much)", partial: "partial", missing: "not known" }[coverage]
    || "partial";
}

/** Return an age of so many milliseconds: "0.4 s", "42 s", "3 m 12 s", "3 h 12 m", "2 d 4 h". */
export function age(milliseconds) {
  if (!isNumber(milliseconds)) return "never";
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} m ${whole % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} m` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Return an age in whole units for a narrow column: "now", "42 s", "3 m", "3 h". */
export function shortAge(milliseconds) {
  if (!isNumber(milliseconds)) return UNKNOWN;
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} d`;
}

/** Return the duration of milliseconds: "12 ms", "1.4 s". */
export function milliseconds(value) {
  if (!isNumber(value)) return UNKNOWN;
  return Math.abs(value) >= 1000 ? `${(value / 1000).toFixed(1)} s` : `${Math.round(value)} ms`;
}

/** Return the parts of a moment (UTC ms) in a zone, "utc" or "local". */
export function moment(at, zone) {
  const date = new Date(at);
  const utc = zone === "utc";
  return {
    day: utc ? date.getUTCDate() : date.getDate(),
    month: utc ? date.getUTCMonth() : date.getMonth(),
    hour: utc ? date.getUTCHours() : date.getHours(),
    minute: utc ? date.getUTCMinutes() : date.getMinutes(),
    second: utc ? date.getUTCSeconds() : date.getSeconds(),
    millisecond: date.getUTCMilliseconds(),
  };
}

/** Return the time of day: "14:03:07". */
export function clock(at, zone) {
  if (!isNumber(at)) return UNKNOWN;
  const { hour, minute, second } = moment(at, zone);
  return [hour, minute, second].map(two).join(":");
}

/** Return a number below 100 with two digits. */
export function two(value) {
  return String(value).padStart(2, "0");
}

/** Return the name of a zone: "UTC", or the offset of the local one. */
export function zoneName(zone, at) {
  if (zone === "utc") return "UTC";
  const offset = -new Date(at).getTimezoneOffset();
  const hours = Math.floor(Math.abs(offset) / 60);
  const rest = Math.abs(offset) % 60;
  return `UTC${offset < 0 ? "−" : "+"}${hours}${rest ? `:${two(rest)}` : ""}`;
}

/** Return a word from outside, cut to a sane length, with control and direction-changing characters shown as "·". */
export function plain(value, length = 40) {
  if (value === null || value === undefined) return "";
  const text = String(value).replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, "·");
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

/** Return a word with its first letter large: "binance" -> "Binance". */
export function capital(word) {
  const text = plain(word);
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
