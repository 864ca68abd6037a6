// Words and figures in the page's language. The words come from the server with the page.

const language = document.documentElement.lang;
const words = JSON.parse(document.getElementById("words").textContent);

export const statusWord = (status) => words.status[status] ?? status;
export const phaseWord = (phase) => words.phase[phase] ?? phase;

export function say(name, ...values) {
  return words.say[name].replace(/\{(\d)\}/g, (_, index) => values[index]);
}

const unit = (name, value, digits = 0) =>
  new Intl.NumberFormat(language, { style: "unit", unit: name, unitDisplay: "short", maximumFractionDigits: digits }).format(value);

export function duration(seconds) {
  if (seconds < 60) return unit("second", seconds, seconds < 10 ? 1 : 0);
  const minutes = Math.floor(Math.round(seconds) / 60);
  if (seconds < 3600) return `${unit("minute", minutes)} ${unit("second", Math.round(seconds) % 60)}`;
  return `${unit("hour", Math.floor(minutes / 60))} ${unit("minute", minutes % 60)}`;
}

const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });

// Times come in UTC; show them in the reader's own.
export function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) time.textContent = moment.format(new Date(time.dateTime));
}
