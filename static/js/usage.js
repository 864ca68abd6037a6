// The Usage page: tokens as bars, requests as a line. The table under it has the same.
// An hour or a day without anything stands on either side, so that one alone is not as wide as the chart.

import { colour } from "./colour.js";
import { say } from "./words.js";

const root = document.querySelector("[data-usage]");
const HEIGHT = 280;
const STEP = { day: 86_400, hour: 3600 };
const APART = [1, 2, 3, 6, 12, 24, 48, 168, 336, 720, 2160]; // ticks, in hours or days: never two within one
const language = document.documentElement.lang;

function filled(columns, step) {
  const at = [];
  for (let moment = columns.at[0] - step; moment <= columns.at.at(-1) + step; moment += step) at.push(moment);
  const place = new Map(columns.at.map((moment, index) => [moment, index]));
  const spread = (values) => at.map((moment) => (place.has(moment) ? values[place.get(moment)] : 0));
  return [at, spread(columns.prompt), spread(columns.completion), spread(columns.requests)];
}

function draw() {
  const columns = JSON.parse(document.getElementById("columns").textContent);
  const step = STEP[root.dataset.usage];
  const moment = new Intl.DateTimeFormat(language, step === STEP.day ? { dateStyle: "short", timeZone: "UTC" } : { dateStyle: "short", timeStyle: "short", timeZone: "UTC" });
  const [text, grid] = [colour("--muted"), colour("--line")];
  const axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
  const count = new Intl.NumberFormat(language, { notation: "compact" });
  const bars = (align) => uPlot.paths.bars({ size: [0.4, 40], align });
  const series = (name, stroke, more) => ({ label: say(name), stroke: colour(stroke), width: 1, value: (_, value) => (value === null ? "—" : new Intl.NumberFormat(language).format(value)), ...more });
  const data = filled(columns, step);
  new uPlot(
    {
      width: root.clientWidth,
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      height: HEIGHT,
      series: [
        { label: say("time"), value: (_, at) => (at ? moment.format(new Date(at * 1000)) : "—") },
        series("prompt", "--band-1", { fill: colour("--band-1"), paths: bars(-1), points: { show: false } }),
        series("completion", "--band-2", { fill: colour("--band-2"), paths: bars(1), points: { show: false } }),
        series("requests", "--band-3", { scale: "requests", width: 2 }),
      ],
      axes: [
        { ...axis, space: 90, incrs: APART.map((count) => count * step), values: (_, ticks) => ticks.map((at) => moment.format(new Date(at * 1000))) },
        { ...axis, size: 60, values: (_, ticks) => ticks.map((tick) => count.format(tick)) },
        { ...axis, scale: "requests", side: 1, size: 60, grid: { show: false }, values: (_, ticks) => ticks.map((tick) => count.format(tick)) },
      ],
      scales: {
        x: { range: [data[0][0], data[0].at(-1)] },
        y: { range: (_, __, most) => [0, (most || 1) * 1.05] },
        requests: { range: (_, __, most) => [0, (most || 1) * 1.05] },
      },
      cursor: { y: false, drag: { x: false, y: false } },
    },
    data,
    root,
  );
}

if (root) draw();
