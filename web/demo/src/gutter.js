// Lines from where a document stood to where it stands now.

import { element, svg } from "./dom.js";

/** @typedef {import("./orders.js").OrderList} OrderList */

/**
 * @param {OrderList} left
 * @param {OrderList} right
 * @returns {() => void} draws the lines again
 */
export function connectOrders(left, right) {
  const gutter = element("gutter", SVGSVGElement);
  const draw = () => gutter.replaceChildren(...lines(gutter, left, right));
  new ResizeObserver(draw).observe(left.list);
  new ResizeObserver(draw).observe(right.list);
  for (const side of [left, right]) {
    side.list.addEventListener("pointerover", (event) => mark(event.target));
    side.list.addEventListener("pointerleave", () => mark(null));
  }
  const mark = (/** @type {EventTarget | null} */ target) => {
    const key = target instanceof Element ? target.closest("li")?.dataset.key : undefined;
    for (const node of [...left.rows.values(), ...right.rows.values(), ...gutter.querySelectorAll("path")]) {
      node.classList.toggle("marked", key !== undefined && node.dataset.key === key);
    }
  };
  return draw;
}

/**
 * @param {SVGSVGElement} gutter
 * @param {OrderList} left
 * @param {OrderList} right
 */
function lines(gutter, left, right) {
  const width = gutter.clientWidth;
  const top = gutter.getBoundingClientRect().top;
  const middle = (/** @type {HTMLElement} */ row, /** @type {OrderList} */ order) =>
    order.list.getBoundingClientRect().top - top + row.offsetTop - order.list.offsetTop + row.offsetHeight / 2;
  const drawn = [];
  for (const [key, to] of right.rows) {
    const from = left.rows.get(key);
    if (!from || to.classList.contains("waiting")) continue;
    const [y1, y2] = [middle(from, left), middle(to, right)];
    const d = `M0 ${y1}C${width / 2} ${y1} ${width / 2} ${y2} ${width} ${y2}`;
    const path = svg("path", { d, class: to.classList.contains("up") ? "up" : "", "data-key": key });
    // What the model is sure of stands out.
    path.style.setProperty("--strength", String(0.3 + 0.7 * Math.sqrt(Number(to.style.getPropertyValue("--share")))));
    drawn.push(path);
  }
  return drawn;
}
