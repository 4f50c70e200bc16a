// An independent client of the local server: subscribes, waits for the messages it was promised, prints what it got.
//
//   node client.mjs ws://HOST:PORT TOKEN          with the package `ws`, whose folder NODE_PATH names
//   node client.mjs ws://HOST:PORT TOKEN builtin  with Node's own WebSocket (Node 22 and later)
//
// `ws` shows the token in a header; the built-in one cannot send headers, so the token is its first message.

import { createRequire } from "node:module";
import { join } from "node:path";

const [, , url, token, kind] = process.argv;
const isOwn = kind === "builtin";
// NODE_PATH is for require only
const Socket = isOwn ? globalThis.WebSocket : createRequire(join(process.env.NODE_PATH, "from-here.js"))("ws");

function open(path) {
  const socket = isOwn ? new Socket(url + path) : new Socket(url + path, { headers: { Authorization: `Bearer ${token}` } });
  const waiting = [];
  const arrived = [];
  socket.addEventListener("message", (event) => {
    const message = JSON.parse(event.data);
    const index = waiting.findIndex(({ fits }) => fits(message));
    if (index < 0) arrived.push(message);
    else waiting.splice(index, 1)[0].done(message);
  });
  const opened = new Promise((done, failed) => {
    socket.addEventListener("open", () => done());
    socket.addEventListener("error", (event) => failed(new Error(event.message || "no connection")));
  });
  return {
    opened,
    say: (message) => socket.send(JSON.stringify(message)),
    hear: (fits) => {
      const index = arrived.findIndex(fits);
      if (index >= 0) return Promise.resolve(arrived.splice(index, 1)[0]);
      return new Promise((done) => waiting.push({ fits, done }));
    },
    close: () => new Promise((done) => {
      socket.addEventListener("close", (event) => done(event.code));
      socket.close(1000);
    }),
  };
}

const ofType = (type) => (message) => message.type === type;

async function rows() {
  const client = open("/ws/realtime/binance?symbols=BTCUSDT,ETHUSDT");
  await client.opened;
  if (isOwn) client.say({ action: "auth", token });
  const initial = await client.hear(ofType("initial_data"));
  const later = await client.hear(ofType("market_data"));
  client.say({ type: "ping" });
  const pong = await client.hear(ofType("pong"));
  return { initial, later, pong, code: await client.close() };
}

async function subscriptions() {
  const client = open("/ws");
  await client.opened;
  if (isOwn) client.say({ action: "auth", token });
  client.say({ action: "subscribe", symbol: "BTCUSDT", marketType: "SPOT", id: 1 });
  const subscribed = await client.hear((message) => message.type === "subscribed" && message.id === 1);
  const tick = await client.hear(ofType("tick"));
  client.say({ action: "subscribe", indicators: [{ indicator: "delta", category: "TOTAL", depth: 5 }] });
  const indicator = await client.hear(ofType("indicator"));
  client.say({ action: "subscribe", tickers: ["NOSUCHCOIN"], id: "wrong" });
  const error = await client.hear(ofType("error"));
  client.say({ action: "unsubscribe", all: true, id: 2 });
  const unsubscribed = await client.hear(ofType("unsubscribed"));
  return { subscribed, tick, indicator, error, unsubscribed, code: await client.close() };
}

const stop = setTimeout(() => {
  process.stderr.write("nothing came for 20 s\n");
  process.exit(1);
}, 20000);
process.stdout.write(`${JSON.stringify({ rows: await rows(), subscriptions: await subscriptions() })}\n`);
clearTimeout(stop);
