// Live data of a page: one websocket, a snapshot first and numbered events after, for as long as the page is open.

const FIRST_WAIT = 500; // milliseconds, doubled at each failure
const LONGEST_WAIT = 30_000;
const STALE_AFTER = 10_000;
const FORBIDDEN = 4403;
const MISSING = 4404;

export class Live {
  #path;
  #handlers;
  #show;
  #numbers = new Map();
  #failures = 0;
  #socket = null;
  #retry = null;
  #stale = null;

  // handlers: {video(video), snapshot(videos), deleted(id), queue(positions)}, and one for any other type of message
  // show: called with "connecting", "open", "reconnecting" or "stale"
  constructor(path, handlers, show) {
    this.#path = path;
    this.#handlers = handlers;
    this.#show = show;
    window.addEventListener("online", () => this.#now());
    document.addEventListener("visibilitychange", () => document.hidden || this.#now());
  }

  open() {
    this.#show(this.#failures ? "reconnecting" : "connecting");
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    this.#socket = new WebSocket(`${scheme}//${location.host}${this.#path}`);
    this.#socket.addEventListener("message", (event) => this.#receive(JSON.parse(event.data)));
    this.#socket.addEventListener("close", (event) => this.#closed(event.code));
  }

  #receive(message) {
    if (message.type === "snapshot") {
      this.#connected();
      for (const video of message.videos ?? []) this.#take(video);
      this.#handlers.snapshot?.(message.videos ?? message);
    } else if (message.type === "video") {
      this.#take(message.video);
    } else if (message.type === "deleted") {
      this.#numbers.set(message.video.id, Infinity);
      this.#handlers.deleted?.(message.video.id);
    } else if (message.type === "queue") {
      this.#handlers.queue?.(message.positions);
    } else {
      this.#handlers[message.type]?.(message);
    }
  }

  #take(video) {
    if (video.event_number <= (this.#numbers.get(video.id) ?? -1)) return;
    this.#numbers.set(video.id, video.event_number);
    this.#handlers.video?.(video);
  }

  #connected() {
    this.#failures = 0;
    clearTimeout(this.#stale);
    this.#stale = null;
    this.#show("open");
  }

  #closed(code) {
    this.#socket = null;
    if (code === FORBIDDEN || code === MISSING) {
      this.#show("stale");
      return;
    }
    if (!this.#stale) {
      this.#show("reconnecting");
      this.#stale = setTimeout(() => this.#show("stale"), STALE_AFTER);
    }
    // Half of the wait is by chance, so that pages do not all come back at one moment.
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#failures++);
    this.#retry = setTimeout(() => this.open(), wait * (0.5 + Math.random() / 2));
  }

  #now() {
    if (this.#socket || !this.#retry) return;
    clearTimeout(this.#retry);
    this.open();
  }
}
