// The Memory page: a chart of who holds what that goes on while the page is open, and figures that stay true.

import { Chart } from "./memory-chart.js";
import { Live } from "./live.js";
import { localTimes, say } from "./words.js";
import { size } from "./memory-words.js";

const SECONDS = { "5m": 300, "1h": 3600, "48h": 172_800, "30d": 2_592_000 };
const REFRESH = { "5m": 0, "1h": 0, "48h": 60_000, "30d": 600_000 }; // 0: each second's figures are added to it
const holder = document.querySelector("[data-chart]");
const state = document.querySelector("[data-state]");
const badge = document.querySelector("[data-live]");
const mark = document.querySelector("[data-mark]");
const node = holder?.dataset.node;
const chart = holder && new Chart(holder, (text) => (mark.textContent = text));
let span = "5m";
let paused = false;
let newest = null;
let refreshing = null;

async function load() {
  clearTimeout(refreshing);
  const wanted = span;
  const query = new URLSearchParams({ span: wanted, node });
  holder.setAttribute("aria-busy", "true");
  const response = await fetch(`${holder.dataset.chart}?${query}`, { headers: { Accept: "application/json" } });
  if (wanted !== span) return;
  holder.removeAttribute("aria-busy");
  if (response.ok) chart.show(await response.json(), SECONDS[span]);
  else mark.textContent = say("failed");
  if (REFRESH[span]) refreshing = setTimeout(() => paused || load(), REFRESH[span]);
}

async function reread() {
  const response = await fetch(`${state.dataset.state}?${new URLSearchParams({ node })}`);
  if (!response.ok || response.redirected || state.contains(document.activeElement)) return;
  const open = [...state.querySelectorAll("details[open]")].map((one) => one.dataset.keep);
  state.innerHTML = await response.text();
  for (const one of state.querySelectorAll("details")) one.open = open.includes(one.dataset.keep);
  localTimes(state);
}

function write(root, name, bytes) {
  const element = root?.querySelector(`[data-${name}]`);
  if (element) element.textContent = size(bytes);
}

function onTick(tick) {
  if (tick.node !== node) return;
  if (!paused && !REFRESH[span]) chart.add(tick);
  const ceiling = Math.max(tick.ceiling, tick.leased);
  const held = tick.workers.reduce((sum, worker) => sum + worker.footprint, 0);
  for (const [name, bytes] of Object.entries({ leased: tick.leased, ceiling, free: ceiling - tick.leased, held })) {
    write(state, name, bytes);
  }
  const meter = state.querySelector("meter");
  if (meter) [meter.max, meter.value] = [ceiling, tick.leased];
  for (const worker of tick.workers) {
    const row = state.querySelector(`[data-lease="${worker.lease_id}"]`);
    write(row, "promised", worker.lease);
    write(row, "held", worker.footprint);
    write(row, "peak", worker.peak);
  }
  if (newest !== null && tick.event !== newest) {
    reread();
    if (!paused) load();
  }
  newest = tick.event;
}

function press(button) {
  for (const other of document.querySelectorAll("[data-span]")) other.setAttribute("aria-pressed", other === button);
  span = button.dataset.span;
  load();
}

for (const button of document.querySelectorAll("[data-span]")) button.addEventListener("click", () => press(button));
document.querySelector("[data-pause]")?.addEventListener("click", (event) => {
  paused = !paused;
  event.currentTarget.setAttribute("aria-pressed", paused);
  event.currentTarget.textContent = say(paused ? "resume" : "pause");
  if (!paused) load();
});

localTimes(document);
if (chart) load();
new Live(badge.dataset.live, { tick: onTick, snapshot: () => chart && newest !== null && (reread(), load()) }, (now) => {
  badge.textContent = badge.dataset[now];
  badge.dataset.state = now;
}).open();
