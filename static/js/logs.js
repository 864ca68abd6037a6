// The Logs page: what is written goes on to be shown, at the end, for as long as that is wanted.

const EVERY = 2000; // milliseconds
const MOST_LINES = 5000;
const log = document.querySelector("[data-tail]");
const follow = document.getElementById("follow");
let from = log?.dataset.from;

async function look() {
  if (!document.hidden && follow.checked) {
    const query = new URLSearchParams({ from, q: log.dataset.search });
    const response = await fetch(`${log.dataset.tail}?${query}`).catch(() => null);
    if (response?.ok && !response.redirected) add(await response.json());
  }
  setTimeout(look, EVERY);
}

function add({ lines, end }) {
  from = end;
  if (!lines.length) return;
  const all = `${log.textContent}${lines.join("\n")}\n`.split("\n");
  log.textContent = all.slice(-MOST_LINES).join("\n");
  log.scrollTop = log.scrollHeight;
}

if (log) {
  log.scrollTop = log.scrollHeight;
  setTimeout(look, EVERY);
}
