// Markdown that a model wrote, as elements: what could load, run or dress up as the page is left out.

import createPurify from "../vendor/dompurify/purify.es.mjs";
import MarkdownIt from "../vendor/markdown-it/markdown-it.esm.min.mjs";

const TAGS = [
  "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s",
  "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
];
const reader = new MarkdownIt({ html: false, linkify: true, breaks: false });
reader.renderer.rules.image = (tokens, index) => reader.utils.escapeHtml(tokens[index].content);

export function rendered(text) {
  const made = createPurify.sanitize(reader.render(text), {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ["href", "start", "class"],
    ALLOW_DATA_ATTR: false,
    RETURN_DOM_FRAGMENT: true,
  });
  for (const link of made.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  for (const element of made.querySelectorAll("[class]")) {
    if (!/^language-[\w+#.-]+$/.test(element.className)) element.removeAttribute("class");
  }
  return made;
}
