// The Home page: its parts are made anew by the server when something changes, and memory is drawn every second.

import { Live } from "./live.js";
import { size } from "./memory-words.js";
import { localTimes, say } from "./words.js";

const SOON = 1000; // milliseconds; what changes together is one look
const holder = document.querySelector("[data-parts]");
const badge = document.querySelector("[data-live]");
const states = new Map();
let timer = null;
let event = null;
let workers = "";

function soon() {
  timer ??= setTimeout(async () => {
    timer = null;
    if (holder.contains(document.activeElement)) return soon();
    const response = await fetch(holder.dataset.parts, { headers: { Accept: "text/html" } });
    if (!response.ok || response.redirected) return;
    holder.innerHTML = await response.text();
    localTimes(holder);
  }, SOON);
}

function onTick(tick) {
  const node = holder.querySelector(`[data-node="${CSS.escape(tick.node)}"]`);
  const ceiling = Math.max(tick.ceiling, tick.leased);
  const meter = node?.querySelector("meter");
  if (meter) {
    [meter.max, meter.value] = [ceiling, tick.leased];
    node.querySelector("[data-promised]").textContent = say("promised", size(tick.leased), size(ceiling));
  }
  const now = tick.workers.map((worker) => worker.lease_id).join();
  if ((event !== null && event !== tick.event) || now !== workers) soon();
  [event, workers] = [tick.event, now];
}

function show(path, state) {
  states.set(path, state);
  const worst = ["stale", "reconnecting", "connecting", "open"].find((one) => [...states.values()].includes(one));
  badge.textContent = badge.dataset[worst];
  badge.dataset.state = worst;
}

localTimes(document);
const handlers = { tick: onTick, video: soon, deleted: soon, queue: soon, list: soon, engine: soon, requests: soon };
for (const path of badge.dataset.sockets.split(" ").filter(Boolean)) {
  new Live(path, handlers, (state) => show(path, state)).open();
}
