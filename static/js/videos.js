// The pages of videos: keeps bars and positions true while jobs move. Without it the pages work by reloading.

import { Live } from "./live.js";
import { duration, localTimes, phaseWord, say, statusWord } from "./words.js";

const NOTICED_AFTER = 300; // milliseconds; several jobs that move together are one look at memory and models
const latest = new Map();
const fetching = new Set();
const list = document.querySelector("[data-jobs]");
const detail = document.querySelector("[data-body-url]");
const aside = document.querySelector("[data-aside]");
const dialog = document.getElementById("dialog");
let asideTimer = null;

const part = (card, name) => card.querySelector(`[data-${name}]`);
const cardOf = (id) => document.querySelector(`[data-job="${CSS.escape(id)}"]`);
const looks = (video) => video.status + (video.paused ? " paused" : ""); // what a card is made anew for
const finished = (status) => status === "completed" || status === "failed";

function write(card, name, text) {
  const element = part(card, name);
  if (element && element.textContent !== text) element.textContent = text;
}

function announce(name, card) {
  const said = document.querySelector("[data-said]");
  if (said && card) said.textContent = say(name, part(card, "title").textContent.trim());
}

function onVideo(video) {
  latest.set(video.id, video);
  const card = cardOf(video.id);
  if (!card) {
    if (list?.hasAttribute("data-first-page")) refetch(video.id, () => add(video.id));
  } else if (card.dataset.status !== looks(video)) {
    refetch(video.id, () => replace(video.id));
  } else {
    update(card, video);
  }
}

function update(card, video) {
  if (video.event_number <= Number(card.dataset.number)) return;
  card.dataset.number = video.event_number;
  write(card, "status-word", statusWord(video.status));
  write(card, "phase", phaseWord(video.phase));
  write(card, "step", video.total_steps ? say("step", video.step, video.total_steps) : "");
  write(card, "percent", say("percent", video.progress));
  write(card, "left", video.eta_seconds === null ? "" : say("left", duration(video.eta_seconds)));
  write(card, "waiting", video.waiting_reason ?? "");
  const [bar, waiting] = [part(card, "bar"), part(card, "waiting")];
  if (bar) bar.value = video.progress;
  if (waiting) waiting.hidden = !video.waiting_reason;
  showPreview(part(card, "preview"), video.preview_number);
  place(card, video.queue_position);
}

// The next one is loaded before it takes the place of the last, so that nothing flickers.
function showPreview(image, number) {
  if (!image) return;
  image.hidden = !number;
  if (!number) return;
  const next = new Image();
  next.addEventListener("load", () => { image.src = next.src; });
  next.src = `${image.dataset.preview}?number=${number}`;
}

function place(card, position) {
  write(card, "position", position ? say("position", position) : "");
}

async function fragment(url) {
  const response = await fetch(url, { headers: { Accept: "text/html" } });
  return response.ok && !response.redirected ? response.text() : null;
}

// A job that begins or ends looks different: the server makes its card anew.
async function refetch(id, put) {
  if (fetching.has(id)) return;
  fetching.add(id);
  try {
    const html = await fragment(detail ? detail.dataset.bodyUrl : list.dataset.cardUrl.replace("ID", id));
    if (html !== null) put()(html);
  } finally {
    fetching.delete(id);
  }
  const [card, video] = [cardOf(id), latest.get(id)];
  if (card && video && video.event_number > Number(card.dataset.number)) onVideo(video);
  asideSoon();
}

const add = (id) => (html) => {
  if (cardOf(id)) return;
  const item = document.createElement("li");
  item.innerHTML = html;
  list.prepend(item);
  ready(item);
  showEmpty();
  announce("added", item);
};

const replace = (id) => (html) => {
  const card = cardOf(id);
  if (!card) return;
  const action = card.contains(document.activeElement) ? document.activeElement.dataset.action ?? "title" : null;
  const holder = card.parentElement;
  holder.innerHTML = html;
  ready(holder);
  if (action) (holder.querySelector(`[data-action="${action}"]`) ?? holder.querySelector("a"))?.focus();
  const status = cardOf(id).dataset.status;
  if (finished(status)) announce(status === "completed" ? "finished" : "failed", cardOf(id));
};

function ready(root) {
  localTimes(root);
  window.htmx?.process(root);
}

function onDeleted(id) {
  latest.delete(id);
  if (detail) location.assign(detail.dataset.goneUrl);
  else cardOf(id)?.closest("li").remove();
  showEmpty();
  asideSoon();
}

function onSnapshot(videos) {
  if (detail && videos.length === 0) return onDeleted(null);
  if (!list?.hasAttribute("data-first-page")) return;
  const there = new Set(videos.map((video) => video.id));
  for (const card of list.querySelectorAll("[data-job]")) if (!there.has(card.dataset.job)) onDeleted(card.dataset.job);
}

function onQueue(positions) {
  for (const card of document.querySelectorAll('[data-job][data-status="queued"]')) place(card, positions[card.dataset.job]);
}

function showEmpty() {
  const empty = document.querySelector("[data-empty]");
  if (empty) empty.hidden = list.children.length > 0;
}

function asideSoon() {
  clearTimeout(asideTimer);
  asideTimer = setTimeout(async () => {
    if (!aside || aside.contains(document.activeElement)) return;
    const html = await fragment(aside.dataset.aside);
    if (html !== null) aside.innerHTML = html;
  }, NOTICED_AFTER);
}

// The dialog: htmx puts the question in, this opens and closes it.
document.addEventListener("htmx:after:swap", () => {
  if (dialog.childElementCount && !dialog.open) dialog.showModal();
  document.querySelector("[data-focus]")?.focus();
});
dialog.addEventListener("close", () => dialog.replaceChildren());
dialog.addEventListener("click", (event) => {
  if (!event.target.closest("[data-dismiss]")) return;
  event.preventDefault();
  dialog.close();
});
document.addEventListener("htmx:finally:request", (event) => {
  if (event.target.closest?.("form.confirm")) dialog.close();
});

const badge = document.querySelector("[data-live]");
localTimes(document);
new Live(badge.dataset.live, { video: onVideo, snapshot: onSnapshot, deleted: onDeleted, queue: onQueue }, (state) => {
  badge.textContent = badge.dataset[state];
  badge.dataset.state = state;
}).open();
