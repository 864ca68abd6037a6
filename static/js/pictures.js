// File inputs for pictures: a preview under each, a button that takes the picture away, and a refused form keeps it.

import { say } from "./words.js";

const chosen = new Map(); // by the input's name, since a refused form comes back as a new one

function show(input) {
  const holder = input.closest(".field");
  holder.querySelector("[data-preview]")?.remove();
  const file = input.files[0];
  if (!file) return chosen.delete(input.name);
  chosen.set(input.name, file);
  const preview = document.createElement("div");
  preview.dataset.preview = "";
  preview.className = "preview";
  const image = document.createElement("img");
  image.alt = say("chosen", file.name);
  image.src = URL.createObjectURL(file);
  image.addEventListener("load", () => URL.revokeObjectURL(image.src));
  image.addEventListener("error", () => image.replaceWith(say("no_preview", file.name)));
  const clear = document.createElement("button");
  clear.type = "button";
  clear.className = "quiet";
  clear.textContent = say("take_away");
  clear.addEventListener("click", () => {
    input.value = "";
    show(input);
    input.focus();
  });
  preview.append(image, clear);
  input.after(preview);
}

function keep(form) {
  const refused = form.querySelector("[role=alert]");
  for (const input of form.querySelectorAll("[data-picture]")) {
    const file = chosen.get(input.name);
    if (file && refused && !input.files.length) {
      const hand = new DataTransfer();
      hand.items.add(file);
      input.files = hand.files;
    }
    show(input);
  }
}

document.addEventListener("change", (event) => {
  if (event.target.matches?.("[data-picture]")) show(event.target);
});
document.addEventListener("htmx:after:swap", () => {
  const form = document.getElementById("video-form");
  if (form) keep(form);
});
