// What is going on: a bar for eyes, a few sentences for everyone, errors with what to do next.

import { element, made } from "./dom.js";
import { sentence } from "./format.js";

export class Status {
  #bar = element("progress", HTMLProgressElement);
  #amount = element("progress-text", HTMLElement);
  #sentence = element("status", HTMLElement);
  #error = element("error", HTMLElement);
  #rerank = element("rerank", HTMLButtonElement);
  #cancel = element("cancel", HTMLButtonElement);
  #settings = element("settings", HTMLFieldSetElement);

  begin() {
    const hadFocus = document.activeElement === this.#rerank;
    this.#busy(true);
    if (hadFocus) this.#cancel.focus({ preventScroll: true });
  }

  end() {
    this.#amount.textContent = "";
    const hadFocus = document.activeElement === this.#cancel;
    this.#busy(false);
    if (hadFocus) this.#rerank.focus({ preventScroll: true });
  }

  /** @param {string} sentence read out when the reader is idle */
  say(sentence) {
    this.#error.hidden = true;
    this.#bar.removeAttribute("value");
    this.#amount.textContent = "";
    this.#sentence.textContent = sentence;
  }

  /**
   * @param {number} share from 0 to 1
   * @param {string} amount
   */
  progress(share, amount) {
    this.#bar.value = share;
    this.#amount.textContent = amount;
  }

  /** @param {unknown} error */
  fail(error) {
    this.say("");
    const { message, code, hint } = /** @type {{ message?: string, code?: string, hint?: string }} */ (error ?? {});
    this.#error.replaceChildren(made("p", sentence(message || String(error)), { class: "problem" }));
    if (hint) this.#error.append(made("p", sentence(hint)));
    if (code) this.#error.append(made("p", code, { class: "code" }));
    this.#error.hidden = false;
    this.#error.scrollIntoView({ block: "nearest" });
  }

  /** @param {boolean} busy */
  #busy(busy) {
    this.#bar.hidden = !busy;
    this.#cancel.hidden = !busy;
    this.#rerank.disabled = busy;
    this.#settings.disabled = busy;
    document.body.classList.toggle("busy", busy);
  }
}
