import { RerankError } from "./errors.js";

/** What an option must be: a test, and the same in words. */
export type Rule = readonly [test: (value: unknown) => boolean, expected: string];

export const isWhole = (value: unknown) => Number.isInteger(value) && (value as number) > 0;
export const isText = (value: unknown): value is string => typeof value === "string" && value.trim() !== "";

export const WHOLE: Rule = [isWhole, "a whole number, 1 or more"];
export const FLAG: Rule = [(value) => typeof value === "boolean", "true or false"];
export const TEXT: Rule = [(value) => typeof value === "string", "a string"];
export const FUNCTION: Rule = [(value) => typeof value === "function", "a function"];
export const ADDRESS: Rule = [(value) => isText(value) || value instanceof URL, "an address"];
// By its shape: a signal may come from another window, or be a polyfill's.
export const SIGNAL: Rule = [(value) => typeof (value as AbortSignal).addEventListener === "function", "an AbortSignal"];

export const oneOf = (...values: string[]): Rule => [
  (value) => values.includes(value as string),
  values.map((value) => JSON.stringify(value)).join(" or "),
];

/**
 * The options that were given, by their own names; `null` and `undefined` are as good as absent.
 *
 * @param aliases other spellings of the same names
 * @throws `invalid_input` for a name that is not in `rules`, one given twice, or a value that is not possible.
 */
export function readOptions(
  given: unknown,
  what: string,
  rules: Record<string, Rule>,
  aliases: Record<string, string> = {},
): Record<string, unknown> {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw invalid(`${what} is ${shown(given)}, not an object`, `pass { ${Object.keys(rules).slice(0, 2).join(", ")} }`);
  }
  const found: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    const own = Object.hasOwn(aliases, name) ? aliases[name]! : name;
    const rule = Object.hasOwn(rules, own) ? rules[own] : undefined;
    if (!rule) throw unknownName(name, what, Object.keys(rules));
    if (value === undefined || value === null) continue;
    if (Object.hasOwn(found, own)) throw invalid(`${what} has ${own} in two spellings`, "give one of them");
    if (!rule[0](value)) throw invalid(`${name} is ${shown(value)}`, `pass ${rule[1]}`);
    found[own] = value;
  }
  return found;
}

export function invalid(message: string, hint: string, cause?: unknown): RerankError {
  return new RerankError("invalid_input", message, hint, cause === undefined ? undefined : { cause });
}

function unknownName(name: string, what: string, names: string[]): RerankError {
  const near = names.find((known) => beginning(known) === beginning(name));
  const hint = near ? `did you mean ${near}?` : `there are ${names.join(", ")}`;
  return invalid(`${what} has no option ${JSON.stringify(name)}`, hint);
}

/** Of `top_k` and of `topN` the same. */
const beginning = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, "").slice(0, 3);

/** A value in a message: short, and never a whole document. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? `a list of ${value.length}` : "an object";
  return typeof value === "function" ? "a function" : String(value);
}
