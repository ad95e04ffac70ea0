// RFC 4180, with commas, semicolons or tabs.

/**
 * One object a record, its keys from the first line. A single column gives plain strings.
 * @param {string} text
 * @returns {import("../../src/types.js").Document[]}
 */
export function csvDocuments(text) {
  const [header, ...records] = csvRecords(text, delimiterOf(text));
  if (!header) return [];
  if (header.length === 1) return records.map(([value]) => value ?? "");
  const names = header.map((name, column) => name.trim() || `column ${column + 1}`);
  return records.map((record) => Object.fromEntries(names.map((name, column) => [name, record[column] ?? ""])));
}

/** @param {string} text */
function delimiterOf(text) {
  const [header = ""] = text.replace(/"[^"]*"/g, "").split("\n", 1);
  const count = (/** @type {string} */ mark) => header.split(mark).length;
  return [",", ";", "\t"].reduce((best, mark) => (count(mark) > count(best) ? mark : best));
}

/**
 * Records of fields; lines without any text are left out. A quote that is never closed ends with the file.
 * @param {string} text
 * @param {string} delimiter
 * @returns {string[][]}
 */
export function csvRecords(text, delimiter) {
  const records = [];
  let record = [];
  let field = "";
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const mark = text[at];
    if (quoted) {
      if (mark !== '"') field += mark;
      else if (text[at + 1] === '"') field += text[(at += 1)];
      else quoted = false;
    } else if (mark === '"' && field === "") {
      quoted = true;
    } else if (mark === delimiter) {
      record.push(field);
      field = "";
    } else if (mark === "\n") {
      records.push([...record, field.replace(/\r$/, "")]);
      record = [];
      field = "";
    } else {
      field += mark;
    }
  }
  records.push([...record, field]);
  return records.filter((fields) => fields.some((value) => value.trim() !== ""));
}
