// The Chat page: answers as they come, and forms without a reload. Without it the page works by reloading.

import { Live } from "./live.js";
import { rendered } from "./markdown.js";
import { say } from "./words.js";

class Unreachable extends Error {}

const NEAR = 160; // pixels from the end: a reader who is there is kept there
const SAID_CHARACTERS = 300;
const root = document.querySelector("[data-chat]");
const status = root.querySelector("[data-said]");
const field = root.querySelector("[data-text]");
const composer = document.getElementById("composer");
const coming = new Map(); // what is known of answers in the making: {thinking, text, phase}
const raw = new WeakMap(); // the Markdown of what is shown
const dirty = new Set();
const touch = matchMedia("(pointer: coarse)");

const turn = (id) => root.querySelector(`[data-message="${CSS.escape(id)}"]`);
const nearEnd = () => window.innerHeight + window.scrollY > document.documentElement.scrollHeight - NEAR;
const toEnd = () => window.scrollTo({ top: document.documentElement.scrollHeight });

// Blocks of code get a button, tool calls a name.
function show(element, text) {
  raw.set(element, text);
  const parts = text.split(/<tool_call>([\s\S]*?)<\/tool_call>/);
  element.replaceChildren(...parts.flatMap((part, at) => (at % 2 ? [toolCall(part)] : [rendered(part)])));
  element.classList.add("rendered");
  for (const block of element.querySelectorAll("pre")) {
    const wrap = document.createElement("div");
    wrap.className = "code";
    const copy = document.createElement("button");
    Object.assign(copy, { type: "button", className: "quiet", textContent: say("copy") });
    copy.addEventListener("click", () => copied(copy, block.textContent));
    block.replaceWith(wrap);
    block.tabIndex = 0;
    const language = /language-(\S+)/.exec(block.firstElementChild?.className ?? "")?.[1] ?? "";
    const bar = document.createElement("div");
    bar.append(language, copy);
    wrap.append(bar, block);
  }
}

function toolCall(text) {
  const [box, name, body] = ["details", "summary", "pre"].map((tag) => document.createElement(tag));
  box.className = "tool";
  let call = {};
  try {
    call = JSON.parse(text);
  } catch {
    call = { name: "…", arguments: text.trim() };
  }
  name.textContent = say("tool", call.name);
  body.textContent = typeof call.arguments === "string" ? call.arguments : JSON.stringify(call.arguments, null, 2);
  box.append(name, body);
  return box;
}

async function copied(button, text) {
  await navigator.clipboard.writeText(text);
  const before = button.textContent;
  button.textContent = say("copied");
  setTimeout(() => (button.textContent = before), 1500);
}

function ready() {
  for (const element of root.querySelectorAll("[data-markdown]:not(.rendered)")) show(element, element.textContent);
  for (const button of root.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
  for (const id of coming.keys()) draw(id);
  examples();
}

function draw(id) {
  const [there, answer] = [turn(id), coming.get(id)];
  if (!there || !answer || there.dataset.state !== "answering") return;
  const stay = nearEnd();
  const thinking = there.querySelector(".thinking");
  thinking.hidden = !answer.thinking;
  thinking.querySelector("[data-thinking]").textContent = answer.thinking;
  show(there.querySelector("[data-markdown]"), answer.text);
  const phase = there.querySelector("[data-phase]");
  phase.hidden = Boolean(answer.text);
  if (answer.thinking) phase.textContent = say("thinking");
  else if (answer.phase?.total) phase.textContent = phaseText(answer.phase);
  if (stay) toEnd();
}

function phaseText({ phase, done, total }) {
  return phase === "loading" ? say("loading", Math.floor((100 * done) / total)) : say("reading", done, total);
}

function soon(id) {
  if (!dirty.size) {
    requestAnimationFrame(() => {
      for (const one of dirty) draw(one);
      dirty.clear();
    });
  }
  dirty.add(id);
}

const known = (id) => coming.get(id) ?? coming.set(id, { thinking: "", text: "", phase: null }).get(id);

function pieces({ id, thinking = "", text = "" }) {
  const answer = known(id);
  answer.thinking += thinking;
  answer.text += text;
  soon(id);
}

function whole({ id, thinking, text }) {
  Object.assign(known(id), { thinking, text });
  soon(id);
}

async function ended({ id }) {
  try {
    await visit(location.href);
  } catch (error) {
    if (error instanceof Unreachable) return; // the snapshot after the next connection says it again
    throw error;
  }
  const there = turn(id);
  coming.delete(id);
  const element = there?.querySelector("[data-markdown]");
  const alert = there?.querySelector(".alert p");
  if (there) status.textContent = alert?.textContent ?? say("answered", raw.get(element).slice(0, SAID_CHARACTERS));
}

function snapshot({ answering }) {
  const now = new Set(answering.map((answer) => answer.id));
  for (const answer of answering) whole(answer);
  const shown = root.querySelector('[data-state="answering"]');
  if (shown && !now.has(shown.dataset.message)) ended({ id: shown.dataset.message }); // it ended while nobody listened
}

// Every form answers with the whole page; what has changed of it is put in the place of what was there.
async function visit(url, request) {
  const response = await fetch(url, { ...request, headers: { Accept: "text/html" } }).catch(() => null);
  const page = response && new DOMParser().parseFromString(await response.text(), "text/html");
  if (!page?.querySelector("[data-chat]")) {
    if (!response?.redirected) throw new Unreachable();
    location.assign(response.url); // to log in
    return false;
  }
  const stay = nearEnd();
  const opened = [...root.querySelectorAll(".thinking[open]")].map((thought) => thought.closest("[data-message]").dataset.message);
  for (const part of root.querySelectorAll("[data-part]")) {
    const fresh = page.querySelector(`[data-part="${part.dataset.part}"]`);
    if (fresh && fresh.innerHTML !== part.innerHTML) part.replaceWith(document.adoptNode(fresh));
  }
  for (const id of opened) turn(id)?.querySelector(".thinking").setAttribute("open", "");
  document.querySelector("main > .messages")?.remove();
  const notes = page.querySelector("main > .messages");
  if (notes) document.querySelector("main").prepend(document.adoptNode(notes));
  document.title = page.title;
  ready();
  if (stay || request) toEnd();
  return response.ok;
}

async function submit(form, submitter) {
  const data = new FormData(form, submitter);
  const action = submitter?.getAttribute("formaction") ?? form.action;
  const sent = form === composer && !submitter?.hasAttribute("formaction") ? field.value : null;
  if (form.closest(".edit")) for (const [name, value] of new FormData(composer)) data.has(name) || data.append(name, value);
  if (form !== document.getElementById("stop")) status.textContent = say("answering");
  try {
    if ((await visit(action, { method: "POST", body: data })) && sent !== null && field.value === sent) {
      field.value = "";
      field.focus();
    }
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    const errors = root.querySelector('[data-part="errors"]');
    const alert = document.createElement("p");
    Object.assign(alert, { className: "alert", textContent: say("failed") });
    alert.setAttribute("role", "alert");
    errors.replaceChildren(alert);
  }
}

function examples() {
  const box = root.querySelector("[data-demos]");
  if (box) box.hidden = !box.dataset.demos.split(" ").includes(document.getElementById("id_model").value);
}

root.addEventListener("submit", (event) => {
  if (event.target.method !== "post" || "native" in event.target.dataset) return;
  event.preventDefault();
  submit(event.target, event.submitter);
});
root.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const article = button.closest("[data-message]");
  const said = article.querySelector("[data-markdown]");
  copied(button, said ? raw.get(said) : article.querySelector(".said").textContent);
});
root.addEventListener("keydown", (event) => {
  const box = event.target.closest("textarea");
  if (!box?.matches("[data-text], .edit textarea") || event.key !== "Enter") return;
  if (event.shiftKey || event.isComposing || touch.matches) return;
  event.preventDefault();
  if (box === field && root.querySelector("[data-stop]")) return;
  if (box.form.reportValidity()) box.form.requestSubmit(box.form.querySelector("button.primary:not([form])"));
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.isComposing && !document.querySelector(":popover-open")) root.querySelector("[data-stop]")?.click();
});
document.getElementById("id_model").addEventListener("change", examples);

ready();
if (root.dataset.live) {
  if (["", "#end"].includes(location.hash)) toEnd();
  const phase = ({ id, ...said }) => {
    known(id).phase = said;
    soon(id);
  };
  const badge = root.querySelector(".live");
  new Live(root.dataset.live, { snapshot, pieces, whole, phase, ended }, (state) => {
    badge.textContent = state === "open" ? "" : badge.dataset[state];
    badge.dataset.state = state;
  }).open();
}
if (!touch.matches) field.focus();
