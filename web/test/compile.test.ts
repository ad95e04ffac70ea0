import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const web = fileURLToPath(new URL("..", import.meta.url));

test("the compiler finds nothing in the tests: what they expect of types holds", () => {
  const { stdout, status } = spawnSync("node_modules/.bin/tsc", ["-p", "test"], { cwd: web, encoding: "utf8" });
  expect(stdout).toBe("");
  expect(status).toBe(0);
}, 60_000);
