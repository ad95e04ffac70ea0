// Fills pkg/ with what npm gets: package.json without what only we need, dist, README and the licences.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const { scripts, devDependencies, ...manifest } = JSON.parse(readFileSync(`${root}/web/package.json`, "utf8"));

mkdirSync(`${root}/pkg`, { recursive: true });
// The folder itself stays: a server or a test may be in it.
for (const name of readdirSync(`${root}/pkg`)) rmSync(`${root}/pkg/${name}`, { recursive: true });
cpSync(`${root}/web/dist`, `${root}/pkg/dist`, { recursive: true });
cpSync(`${root}/web/README.md`, `${root}/pkg/README.md`);
for (const licence of ["LICENSE-APACHE", "LICENSE-MIT"]) cpSync(`${root}/${licence}`, `${root}/pkg/${licence}`);
writeFileSync(`${root}/pkg/package.json`, `${JSON.stringify(manifest, null, 2)}\n`);

/** The files that `exports` names, however deep its conditions. */
const targets = (entry) => (typeof entry === "string" ? [entry] : Object.values(entry ?? {}).flatMap(targets));
const missing = targets(manifest.exports).filter((path) => !path.includes("*") && !existsSync(`${root}/pkg/${path}`));
if (missing.length > 0) {
  console.error(`build.sh: package.json exports what was not built: ${missing.join(", ")}`);
  process.exitCode = 1;
}
