// What an accessibility checker looks for first: names of controls, and contrast of texts (WCAG 2.2, 1.4.3).

const CONTROLS = new Set(["textbox", "searchbox", "combobox", "listbox", "button", "radio", "checkbox", "spinbutton", "progressbar", "link"]);

/** Roles of controls that a screen reader could not call by a name. */
export async function unnamedControls(context, page) {
  const session = await context.newCDPSession(page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  const controls = nodes.filter((node) => !node.ignored && CONTROLS.has(node.role?.value));
  if (controls.length < 10) throw new Error(`only ${controls.length} controls were found`);
  return controls.filter((node) => !node.name?.value?.trim()).map((node) => node.role.value);
}

/** Every visible text of the page that can be used, with its contrast against what lies behind it. */
export function textContrasts(page) {
  return page.evaluate(() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const channels = (color) => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      return Array.from(canvas.getImageData(0, 0, 1, 1).data);
    };
    const luminance = (rgb) => {
      const [r, g, b] = rgb.map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (node) => {
      for (let at = node; at; at = at.parentElement) {
        const color = channels(getComputedStyle(at).backgroundColor);
        if (color[3] === 255) return color.slice(0, 3);
      }
      return [255, 255, 255];
    };
    const shown = (node) => node.checkVisibility({ visibilityProperty: true }) && !node.closest(".for-ears, .skip, :disabled, template, option");
    const found = [];
    for (const node of document.body.querySelectorAll("*")) {
      const text = Array.from(node.childNodes, (child) => (child.nodeType === 3 ? child.data : "")).join("").trim();
      if (!text && !["TEXTAREA", "INPUT", "SELECT"].includes(node.tagName)) continue;
      if (!shown(node) || node.querySelector("input:disabled") || node.previousElementSibling?.matches("input:disabled")) continue;
      const style = getComputedStyle(node);
      const color = channels(node instanceof SVGElement ? style.fill : style.color).slice(0, 3);
      const [light, dark] = [luminance(color), luminance(behind(node))].sort((a, b) => b - a);
      found.push({ text: text.slice(0, 40) || node.id, ratio: Math.round(((light + 0.05) / (dark + 0.05)) * 100) / 100 });
    }
    return found;
  });
}
