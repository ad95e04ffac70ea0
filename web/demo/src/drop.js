// Files that are dropped anywhere on the page.

import { element } from "./dom.js";

/** @param {(files: File[]) => void} take */
export function acceptDrops(take) {
  const veil = element("drop", HTMLElement);
  const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") ?? false;
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) veil.hidden = true;
  });
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    veil.hidden = true;
    take(Array.from(event.dataTransfer?.files ?? []));
  });
}
