// Buttons that copy the text of another element, and say whether it worked.

const said = document.querySelector("[data-said]");

for (const button of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  button.addEventListener("click", async () => {
    let text = button.dataset.done;
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      // Without HTTPS a browser keeps the clipboard from pages.
      getSelection().selectAllChildren(source);
      if (!document.execCommand("copy")) text = button.dataset.failed;
    }
    button.textContent = text;
    if (said) said.textContent = text;
  });
}
