// Buttons that copy the text of another element, and say whether it worked.

const said = document.querySelector("[data-said]");

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  let text = button.dataset.done ?? button.dataset.copied;
  try {
    await navigator.clipboard.writeText(source.textContent);
  } catch {
    // Without HTTPS a browser keeps the clipboard from pages: the text is selected, for the keyboard to copy.
    getSelection().selectAllChildren(source);
    if (!document.execCommand("copy")) text = button.dataset.failed;
  }
  if (!text) return;
  const before = button.textContent;
  button.textContent = text;
  if (said) said.textContent = said.dataset.copied ?? text;
  setTimeout(() => (button.textContent = before), 2000);
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}
