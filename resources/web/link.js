// Keeps the page supplied: one WebSocket with everything the page needs, and while that is down the same values over
// HTTP. There is no timer in here; the page calls `step` a few times a second, so that nothing can pile up.
//
// phase: "connecting" (first try), "live", "polling" (values come over HTTP), "lost" (nothing comes),
// "locked" (the server answers, but this browser has not opened the link with the token).

import { clock, milliseconds, zoneName } from "./text.js";
import { indicatorKey, symbolKey } from "./store.js";

const SILENCE_MS = 5000;
const OPENING_MS = 8000;
const PING_EVERY_MS = 5000;
const POLL_EVERY_MS = 2000;
const POLL_TIMEOUT_MS = 6000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15000;
const STEADY_MS = 10000;
const POLICY_VIOLATION = 1008; // RFC 6455, 7.4.1
const NO_TOKEN = "This browser has not shown the token.";
const MESSAGES_AT_ONCE = 8;
const MESSAGES_A_STEP = 2;

export class Link {
  constructor(store, zone) {
    this.store = store;
    this.zone = zone;
    this.needs = { indicators: [], books: [], rows: null, spanS: 120 };
    this.phase = "connecting";
    this.reason = "";
    this.refusal = "";
    this.lagMs = NaN;
    this.lostSince = null;
    this.polls = 0;
    this.pollFailures = 0;
    this.attempts = 0;
    this.socket = null;
    this.isOpen = false;
    this.isHeard = false; // only what has spoken is live: a server may still turn an open socket away
    this.openedAt = 0;
    this.heardAt = -Infinity;
    this.pingAt = 0;
    this.nextTryAt = 0;
    this.nextPollAt = 1500; // the socket comes first
    this.answeredAt = -Infinity;
    this.polling = null;
    this.past = [];
    this.isFetching = false;
    this.outbox = [];
    this.keys = [];
  }

  /** Say what the page shows now; the server is told at once when it can be. */
  need(needs) {
    this.needs = needs;
    if (this.isOpen) this.subscribe(true);
  }

  /** Try again at once: the network or the page has come back. */
  hurry() {
    this.nextTryAt = 0;
    this.nextPollAt = 0;
  }

  /** Do what is due. `at` is the page's monotonic time in ms. */
  step(at) {
    if (this.socket && !this.isOpen && at - this.openedAt > OPENING_MS) this.drop("The server did not answer in time", at);
    if (this.isOpen && at - Math.max(this.heardAt, this.openedAt) > SILENCE_MS) this.drop("The server went silent", at);
    if (!this.socket && at >= this.nextTryAt) this.open(at);
    if (this.isOpen && at - this.pingAt > PING_EVERY_MS) {
      this.pingAt = at;
      this.send({ type: "ping" });
    }
    if (this.isOpen) {
      this.post(MESSAGES_A_STEP);
      if (this.attempts && this.isHeard && at - this.openedAt > STEADY_MS) this.attempts = 0;
    }
    if (this.polling) {
      if (at - this.polling.at > POLL_TIMEOUT_MS) this.polling.abort.abort();
    } else if (!this.isHeard && at >= this.nextPollAt) this.poll(at);
    this.judge(at);
  }

  /** Settle the phase. */
  judge(at) {
    const heard = Math.max(this.heardAt, this.answeredAt);
    let phase = "lost";
    if (this.isHeard && at - this.heardAt <= SILENCE_MS) phase = "live";
    else if (at - this.answeredAt <= SILENCE_MS) phase = "polling";
    else if (this.refusal) phase = "locked";
    else if (heard === -Infinity && at < OPENING_MS && !this.pollFailures) phase = "connecting";
    if (phase === "live" || phase === "polling") this.lostSince = null;
    else if (this.lostSince === null) this.lostSince = Date.now() - Math.max(0, Number.isFinite(heard) ? at - heard : 0);
    this.phase = phase;
  }

  /** Return the state in two parts: what it is and since when; what happens next. */
  sentence(at) {
    const seconds = Math.ceil(Math.max(0, this.nextTryAt - at) / 1000);
    const next = this.socket || !seconds ? "Trying again now." : `Trying again in ${seconds} s.`;
    const since = this.lostSince === null ? "" : ` Nothing new since ${clock(this.lostSince, this.zone)} ${zoneName(this.zone, this.lostSince)}`;
    switch (this.phase) {
      case "live":
        return ["Connected.", Number.isFinite(this.lagMs) ? `Answers in ${milliseconds(this.lagMs)}.` : ""];
      case "polling":
        return [`${this.reason || "The live connection is not there yet"}: asking over HTTP every ${POLL_EVERY_MS / 1000} s.`, next];
      case "locked":
        return [`${this.refusal} Open the link that Fathom's Server panel shows; it carries the token.`, next];
      case "connecting":
        return ["Connecting to Fathom.", ""];
      default: {
        const last = Number.isFinite(Math.max(this.heardAt, this.answeredAt))
          ? `.${since}: what you see are the last values, not live ones.` : ".";
        const asked = `${this.pollFailures} ${this.pollFailures === 1 ? "question" : "questions"} over HTTP without answer`;
        return [`${this.reason || "Fathom cannot be reached"}${last}`, `${next} ${asked}.`];
      }
    }
  }

  // -- socket ------------------------------------------------------------------------------------------------------

  open(at) {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    let socket;
    try {
      socket = new WebSocket(`${scheme}//${location.host}/ws`);
    } catch (error) {
      this.reason = "This browser refuses the connection";
      this.later(at);
      return;
    }
    this.socket = socket;
    this.isOpen = false;
    this.isHeard = false;
    this.openedAt = at;
    const mine = (listener) => (event) => {
      if (this.socket === socket) listener(event);
    };
    socket.addEventListener("open", mine(() => {
      this.isOpen = true;
      this.openedAt = performance.now();
      this.pingAt = this.openedAt;
      this.subscribe(false);
    }));
    socket.addEventListener("message", mine((event) => this.hear(event.data)));
    socket.addEventListener("close", mine((event) => {
      if (event.code === POLICY_VIOLATION) this.refusal = NO_TOKEN;
      const why = event.reason ? `: ${String(event.reason).slice(0, 120)}` : "";
      this.drop(this.isOpen ? `The connection was closed${why}` : `Fathom cannot be reached${why}`, performance.now());
    }));
  }

  /** Let go of the socket and plan the next try. */
  drop(reason, at) {
    const socket = this.socket;
    this.socket = null;
    this.isOpen = false;
    this.isHeard = false;
    this.lagMs = NaN;
    this.reason = reason;
    this.nextPollAt = at;
    if (socket) socket.close();
    this.later(at);
  }

  /** Wait longer from try to try, never the same time twice, so that many screens do not come back in step. */
  later(at) {
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(this.attempts, 10));
    this.attempts += 1;
    this.nextTryAt = at + longest * (0.5 + Math.random() / 2);
  }

  hear(data) {
    const at = performance.now();
    this.heardAt = at;
    this.isHeard = true;
    this.refusal = "";
    let message;
    try {
      message = JSON.parse(data);
    } catch (error) {
      return;
    }
    if (message.type === "pong") this.lagMs = at - this.pingAt;
    else if (message.type === "error") this.store.refuse(this.keys[message.id], message.message);
    else if (message.type === "subscribed") this.wantPast(this.keys[message.id]);
    else this.store.apply(message, at);
  }

  send(message) {
    if (this.socket && this.isOpen) this.socket.send(JSON.stringify(message));
  }

  /**
   * Ask for everything the page shows, each thing by itself, so that one the server does not have costs only itself.
   * The server takes 20 messages a second, so the rest follows step by step.
   */
  subscribe(isAgain) {
    const { indicators, books, rows } = this.needs;
    this.keys = [];
    this.store.refusals.clear();
    this.outbox = isAgain ? [{ action: "unsubscribe", all: true }] : [];
    this.outbox.push({ action: "subscribe", channels: ["ticks", "snapshots", "alerts", "status"] });
    const ask = (key, fields) => {
      this.outbox.push({ action: "subscribe", ...fields, id: this.keys.length });
      this.keys.push(key);
    };
    if (rows) ask("rows", rows);
    for (const need of indicators) ask(seriesKey(need), { indicators: [need] });
    for (const book of books) ask(bookKey(book), book);
    this.past = [];
    this.post(MESSAGES_AT_ONCE);
  }

  /** Send the next messages. */
  post(count) {
    for (const message of this.outbox.splice(0, count)) this.send(message);
  }

  // -- HTTP --------------------------------------------------------------------------------------------------------

  /** Fetch the past of a series the server has said it has; one after the other. */
  wantPast(key) {
    const need = this.needs.indicators.find((each) => seriesKey(each) === key);
    if (!need) return;
    this.past.push(need);
    if (!this.isFetching) this.fetchPast();
  }

  /** Fetch the ticks of two minutes, then minutes where the time shown asks for them. */
  async fetchPast() {
    this.isFetching = true;
    for (let need = this.past.shift(); need; need = this.past.shift()) {
      const minutes = Math.min(1440, Math.ceil(this.needs.spanS / 60));
      for (const past of minutes > 2 ? ["last=120", `minutes=${minutes}`] : ["last=120"]) {
        // without it the chart begins now; the next connection asks again
        const answer = await this.ask(indicatorPath(need, past)).catch(() => null);
        if (answer && this.needs.indicators.includes(need)) this.takePoints(need, answer, past.startsWith("minutes"));
      }
    }
    this.isFetching = false;
  }

  takePoints(need, answer, isMinutes) {
    const series = this.store.seriesOf(seriesKey(need));
    series.merge(answer.points, isMinutes);
  }

  /** Ask once for everything the page shows. */
  async poll(at) {
    const abort = new AbortController();
    this.polling = { at, abort };
    this.polls += 1;
    try {
      this.store.apply(await this.ask("/api/status", abort.signal), performance.now());
      this.answeredAt = performance.now();
      this.refusal = "";
      if (this.pollFailures) this.nextTryAt = 0;
      this.pollFailures = 0;
      await this.pollValues(abort.signal);
    } catch (error) {
      if (error.status) {
        this.refusal = { 401: NO_TOKEN, 403: `${error.message}.` }[error.status] || "";
        this.reason = `The server says: ${error.message}`;
      }
      this.pollFailures += 1;
    } finally {
      this.polling = null;
      const wait = POLL_EVERY_MS * Math.min(3, 1 + this.pollFailures / 10) * (0.85 + 0.3 * Math.random());
      this.nextPollAt = performance.now() + wait;
    }
  }

  async pollValues(signal) {
    const { indicators, books, rows } = this.needs;
    for (const need of indicators.filter((each) => !this.store.refusals.has(seriesKey(each)))) {
      const answer = await this.ask(indicatorPath(need, "last=10"), signal).catch(this.passBy(seriesKey(need)));
      if (answer) {
        this.takePoints(need, answer, false);
        this.store.apply({ ...answer, type: "indicator" }, performance.now());
      }
      this.answeredAt = performance.now();
    }
    for (const book of books.filter((each) => !this.store.refusals.has(bookKey(each)))) {
      const place = `venue=${encodeURIComponent(book.venue)}&marketType=${encodeURIComponent(book.marketType)}`;
      const path = `/api/snapshots/${encodeURIComponent(book.symbol)}?${place}&levels=20`;
      const answer = await this.ask(path, signal).catch(this.passBy(bookKey(book)));
      if (answer) {
        this.store.apply({ ...answer, type: "tick" }, performance.now());
        this.store.apply({ ...answer, type: "snapshot" }, performance.now());
      }
    }
    if (rows) {
      const path = `/api/rows?venue=${encodeURIComponent(rows.venue)}&marketType=${rows.marketType}&limit=${rows.top}`;
      const answer = await this.ask(path, signal).catch(this.passBy("rows"));
      if (answer) this.store.apply({ ...answer, type: "market_data" }, performance.now());
    }
    this.answeredAt = performance.now();
  }

  /** Return what notes a value the server does not have; any other failure ends the round. */
  passBy(key) {
    return (error) => {
      if (![400, 404].includes(error.status)) throw error;
      this.store.refuse(key, error.message);
      return null;
    };
  }

  /** Return the JSON answer of a path of this server; throw an Error (with `status` where there was an answer). */
  async ask(path, signal) {
    const response = await fetch(path, { signal, cache: "no-store", credentials: "same-origin", redirect: "error" });
    const body = await response.json().catch(() => null);
    if (response.ok) return body;
    const error = new Error((body && body.message) || `The server answered ${response.status}.`);
    error.status = response.status;
    throw error;
  }
}

/** Return the series a need is held in. */
export function seriesKey(need) {
  return indicatorKey(need.indicator, need.category, need.venue, need.marketType, need.depth);
}

/** Return the name of a book that is needed. */
export function bookKey(book) {
  return symbolKey(book.venue, book.marketType, book.symbol);
}

function indicatorPath(need, past) {
  const query = [`category=${encodeURIComponent(need.category)}`, `marketType=${need.marketType}`,
    `venue=${encodeURIComponent(need.venue)}`];
  if (need.depth !== undefined) query.push(`depth=${need.depth}`);
  return `/api/indicators/${need.indicator}?${query.join("&")}&${past}`;
}
