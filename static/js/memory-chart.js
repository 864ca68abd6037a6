// One band per worker, stacked; over them what is promised, the ceiling, the hard cap and what everybody uses.

import { colour } from "./colour.js";
import { say } from "./words.js";
import { size } from "./memory-words.js";

const BANDS = 8; // colours, then again from the first
const HEIGHT = 320;
const LONGEST_NAME = 24; // characters, of a name in the legend
const NEAR = 12; // pixels between the pointer and a mark
const LOUD = { refused: "--bad", killed: "--bad", short: "--bad", evicted: "--warn", ceiling: "--warn", node_started: "--accent" };
const words = JSON.parse(document.getElementById("words").textContent);
const language = document.documentElement.lang;
const moment = new Intl.DateTimeFormat(language, { dateStyle: "short", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const day = new Intl.DateTimeFormat(language, { day: "2-digit", month: "2-digit", hour: "2-digit", minute: "2-digit", hour12: false });

const faint = (value) => `color-mix(in srgb, ${value} 35%, transparent)`;
// The middle goes first: models of a family and ids differ at their ends.
const short = (name) => (name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME / 2)}…${name.slice(-LONGEST_NAME / 2)}` : name);
const nameOf = (band) => {
  const kind = words.kind[band.kind] ?? band.kind;
  const holder = band.holder.replace(/ \(idle\)$/, () => ` (${say("idle")})`);
  return holder ? `${short(holder)} (${kind})` : say("merged", band.merged, kind);
};

export class Chart {
  #root;
  #tell;
  #plot = null;
  #data = null;
  #seconds = 300;

  constructor(root, tell) {
    this.#root = root;
    this.#tell = tell;
    new ResizeObserver(() => this.#plot?.setSize({ width: root.clientWidth, height: HEIGHT })).observe(root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#data && this.#draw());
  }

  show(data, seconds) {
    this.#data = data;
    this.#seconds = seconds;
    this.#draw();
  }

  // The figures of one second; what is older than the span goes.
  add(tick) {
    const data = this.#data;
    if (!data || tick.at <= (data.at.at(-1) ?? 0)) return;
    const columns = [data.machine.footprint, data.machine.lease, data.ceiling, data.cap];
    data.at.push(tick.at);
    for (const [index, value] of [tick.used, tick.leased, tick.ceiling, tick.cap].entries()) columns[index].push(value);
    const fresh = this.#addWorkers(tick);
    while (data.at[0] < tick.at - this.#seconds) {
      for (const column of [data.at, ...columns, ...data.workers.flatMap((band) => [band.footprint])]) column.shift();
    }
    if (fresh) this.#draw();
    else this.#plot.setData(this.#columns());
  }

  #addWorkers(tick) {
    const there = new Map();
    for (const worker of tick.workers) {
      const key = `${worker.kind} ${worker.holder}`;
      there.set(key, (there.get(key) ?? 0) + worker.footprint);
    }
    let fresh = false;
    for (const worker of tick.workers) {
      if (this.#data.workers.some((band) => band.kind === worker.kind && band.holder === worker.holder)) continue;
      const before = Array(this.#data.at.length - 1).fill(null);
      this.#data.workers.push({ kind: worker.kind, holder: worker.holder, merged: 1, footprint: before });
      fresh = true;
    }
    for (const band of this.#data.workers) band.footprint.push(there.get(`${band.kind} ${band.holder}`) ?? null);
    return fresh;
  }

  // uPlot draws each band from zero, so they are added up, and clipped at the one below.
  #columns() {
    const { at, workers, machine, ceiling, cap } = this.#data;
    const below = Array(at.length).fill(0);
    const stacked = workers.map((band) => band.footprint.map((value, index) => (below[index] += value ?? 0)));
    return [at, ...stacked, machine.footprint, machine.lease, ceiling, cap];
  }

  #series() {
    const { workers, machine, ceiling, cap } = this.#data;
    const line = (name, values, stroke, more) => ({ label: say(name), stroke: colour(stroke), width: 2, points: { show: false }, value: (_, __, ___, index) => size(values[index]), ...more });
    const bands = workers.map((band, index) => {
      const stroke = colour(`--band-${(index % BANDS) + 1}`);
      return { label: nameOf(band), stroke, width: 1, fill: faint(stroke), points: { show: false }, value: (_, __, ___, at) => size(band.footprint[at]) };
    });
    return [
      { label: say("time"), value: (_, at) => (at ? moment.format(new Date(at * 1000)) : "—") },
      ...bands,
      line("used", machine.footprint, "--muted", { width: 1 }),
      line("leased", machine.lease, "--text", { dash: [4, 4], paths: uPlot.paths.stepped({ align: 1 }) }),
      line("ceiling", ceiling, "--accent", {}),
      line("cap", cap, "--bad", { dash: [10, 4], width: 1 }),
    ];
  }

  #draw() {
    this.#plot?.destroy();
    const [text, grid] = [colour("--muted"), colour("--line")];
    const axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
    const label = this.#seconds > 3600 ? day : clock;
    const count = this.#data.workers.length;
    const options = {
      width: this.#root.clientWidth,
      height: HEIGHT,
      series: this.#series(),
      bands: Array.from({ length: Math.max(0, count - 1) }, (_, index) => ({ series: [index + 2, index + 1] })),
      axes: [
        { ...axis, space: 90, values: (_, ticks) => ticks.map((at) => label.format(new Date(at * 1000))) },
        { ...axis, size: 80, values: (_, ticks) => ticks.map(size), incrs: [...Array(16)].map((_, power) => 2 ** (27 + power)) },
      ],
      scales: {
        x: { range: (_, least, most) => this.#ends(least, most) },
        y: { range: (_, __, most) => [0, (most || 2 ** 30) * 1.05] },
      },
      cursor: { y: false, drag: { x: false, y: false } },
      hooks: { draw: [(plot) => this.#marks(plot)], setCursor: [(plot) => this.#point(plot)] },
    };
    this.#plot = new uPlot(options, this.#columns(), this.#root);
  }

  #ends(least, most) {
    const end = most ?? Date.now() / 1000;
    return [end - this.#seconds, end];
  }

  #shown() {
    return this.#data.events.filter((event) => event.what in LOUD).map((event) => ({ ...event, x: Date.parse(event.at) / 1000 }));
  }

  #marks(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    for (const event of this.#shown()) {
      const x = plot.valToPos(event.x, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.strokeStyle = ctx.fillStyle = colour(LOUD[event.what]);
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.beginPath();
      ctx.arc(x, bbox.top + 5 * devicePixelRatio, 4 * devicePixelRatio, 0, 2 * Math.PI);
      ctx.fill();
    }
    ctx.restore();
  }

  #point(plot) {
    const { left } = plot.cursor;
    if (left < 0) return;
    const near = this.#shown().filter((event) => Math.abs(plot.valToPos(event.x, "x") - left) < NEAR);
    if (near.length) this.#tell(near.map((event) => `${words.what[event.what]}: ${event.holder} ${event.message}`).join(" · "));
  }
}
