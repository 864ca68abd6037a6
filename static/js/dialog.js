// The dialog of a page: htmx puts a question in, this opens and closes it. Without scripts the question is a page.

const dialog = document.getElementById("dialog");

document.addEventListener("htmx:after:swap", () => {
  if (dialog.childElementCount && !dialog.open) dialog.showModal();
});
dialog.addEventListener("close", () => dialog.replaceChildren());
dialog.addEventListener("click", (event) => {
  if (!event.target.closest("[data-dismiss]")) return;
  event.preventDefault();
  dialog.close();
});
