// The pages of models: a row is made anew by the server when its engine changes; a load's progress is drawn at once.

import "./dialog.js";
import { Live } from "./live.js";
import { localTimes, say } from "./words.js";

const list = document.querySelector("[data-list]");
const downloads = document.querySelector("[data-downloads]");
const badge = document.querySelector("[data-live]");
const said = document.querySelector("[data-said]");
const latest = new Map();
const fetching = new Set();
const redrawing = { now: false, again: false };

const rowOf = (name) => document.querySelector(`[data-model="${CSS.escape(name)}"]`);
const stateOf = (engine) => (engine?.loading ? "loading" : engine?.loaded ? "loaded" : "unloaded");
const path = (name) => name.split("/").map(encodeURIComponent).join("/");

async function fragment(url, headers = {}) {
  const response = await fetch(url, { headers: { Accept: "text/html", ...headers } });
  return response.ok && !response.redirected ? response.text() : null;
}

function onEngine(engine) {
  const before = latest.get(engine.id);
  latest.set(engine.id, engine);
  const row = rowOf(engine.id);
  if (!row) return;
  const bar = row.querySelector("[data-progress]");
  if (engine.loading && bar) {
    [bar.max, bar.value] = [engine.loading.total || 1, engine.loading.done];
    return;
  }
  refetch(engine.id);
  if (stateOf(before) !== stateOf(engine)) said.textContent = say(stateOf(engine), engine.id);
}

async function refetch(name) {
  if (fetching.has(name)) return;
  fetching.add(name);
  const asked = latest.get(name);
  const html = await fragment(`/models/row/${path(name)}/`).finally(() => fetching.delete(name));
  if (html !== null) put(rowOf(name), html);
  if (latest.get(name) !== asked) refetch(name);
}

function put(row, html) {
  const holder = document.createElement("tbody");
  holder.innerHTML = html;
  const fresh = holder.firstElementChild;
  if (!row || !fresh) return;
  const action = row.contains(document.activeElement) ? document.activeElement.dataset.action : null;
  row.replaceWith(fresh);
  ready(fresh);
  if (action) (fresh.querySelector(`[data-action="${action}"]`) ?? fresh.querySelector("button, a"))?.focus();
}

async function relist() {
  if (!list || list.contains(document.activeElement)) return;
  const html = await fragment(list.dataset.list, { "HX-Request": "true" });
  if (html === null) return;
  list.innerHTML = html;
  ready(list);
}

// What comes while the list is being asked for is one more look after it.
async function redraw() {
  redrawing.again = redrawing.now;
  if (!downloads || redrawing.now) return;
  redrawing.now = true;
  const html = await fragment(downloads.dataset.downloads).catch(() => null);
  redrawing.now = false;
  const focused = downloads.contains(document.activeElement) ? document.activeElement.dataset.action : null;
  if (html !== null) downloads.innerHTML = html;
  if (focused) downloads.querySelector(`[data-action="${focused}"]`)?.focus();
  ready(downloads);
  if (redrawing.again) redraw();
}

function ready(root) {
  localTimes(root);
  window.htmx?.process(root);
}

function onSnapshot({ engines }) {
  redraw();
  for (const engine of Object.values(engines)) {
    const known = latest.get(engine.id);
    latest.set(engine.id, engine);
    if (known && stateOf(known) !== stateOf(engine)) refetch(engine.id);
  }
}

localTimes(document);
const handlers = { snapshot: onSnapshot, engine: ({ engine }) => onEngine(engine), list: relist, downloads: redraw };
new Live(badge.dataset.live, handlers, (state) => {
  badge.textContent = badge.dataset[state];
  badge.dataset.state = state;
}).open();
