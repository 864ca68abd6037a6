// Times of a page that has no other script.

const moment = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "medium" });
for (const time of document.querySelectorAll("time[datetime]")) time.textContent = moment.format(new Date(time.dateTime));
