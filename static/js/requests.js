// The Requests page: the table is read again when there are new requests, at most once a second.

import { Live } from "./live.js";
import { localTimes, say } from "./words.js";

const EVERY = 1000; // milliseconds
const rows = document.querySelector("[data-rows]");
const badge = document.querySelector("[data-live]");
const pause = document.querySelector("[data-pause]");
const still = "still" in rows.dataset; // an older page does not move
let paused = false;
let due = null;
let known = null;

async function reread() {
  due = null;
  if (paused || still || rows.contains(document.activeElement)) return;
  const response = await fetch(`${rows.dataset.rows}${location.search}`);
  if (!response.ok || response.redirected || paused) return;
  rows.innerHTML = await response.text();
  localTimes(rows);
}

function more(number) {
  if (number === known) return;
  known = number;
  due ??= setTimeout(reread, EVERY);
}

pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", paused);
  pause.textContent = say(paused ? "resume" : "pause");
  if (!paused) reread();
});

localTimes(document);
new Live(badge.dataset.live, { requests: (message) => more(message.number), snapshot: (message) => more(message.newest) }, (now) => {
  badge.textContent = badge.dataset[now];
  badge.dataset.state = now;
}).open();
