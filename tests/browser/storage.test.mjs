// Where models are kept, in a real browser: the private file system, in workers and pages, and Cache Storage.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { after, before, beforeEach, describe, test } from "node:test";
import { launchChromium, noChromium } from "./chromium.mjs";
import { randomBytes, serve, sha256 } from "./server.mjs";

const WEIGHTS = randomBytes(20_000_000);
const HASH = sha256(WEIGHTS);
const PATH = "/m/model.safetensors";
const MODEL = { "/m/config.json": "{}", "/m/tokenizer.json": '{"a":1}', [PATH]: WEIGHTS };
const COMMIT = "0123456789abcdef0123456789abcdef01234567";

let browser, site, context;
const problems = [];

/** What the tests' pages are made of. */
function pageFiles() {
  const read = (path) => readFileSync(new URL(path, import.meta.url));
  const dist = new URL("../../web/dist/", import.meta.url);
  const scripts = readdirSync(dist, { recursive: true }).filter((name) => name.endsWith(".js") && !name.startsWith("wasm"));
  return {
    ...Object.fromEntries(scripts.map((name) => [`/dist/${name}`, read(`../../web/dist/${name}`)])),
    "/recorder.mjs": read("recorder.mjs"),
    "/job.mjs": read("storage-job.mjs"),
    "/page.html": "<!doctype html><title>test</title>",
  };
}

/** A page of the tests' site, in the browser profile of this test. */
async function openPage(inContext = context, init) {
  const page = await inContext.newPage();
  page.on("pageerror", (error) => problems.push(error.message));
  if (init) await page.addInitScript(init);
  await page.goto(`${site.address}/page.html`);
  return page;
}

/** Runs a job in the page, or in a worker of it. */
async function runIn(page, job, isInWorker = true) {
  return page.evaluate(
    async ([job, isInWorker]) => {
      if (!isInWorker) return (await import("/job.mjs")).run(job);
      const worker = new Worker("/job.mjs", { type: "module" });
      const answer = await new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = ({ message }) => reject(new Error(message));
        worker.postMessage(job);
      });
      worker.terminate();
      return answer;
    },
    [job, isInWorker],
  );
}

/** One visit: a page that is closed when the job is done. */
async function visit(job, { isInWorker = true, init } = {}) {
  const page = await openPage(context, init);
  const answer = await runIn(page, job, isInWorker);
  await page.close();
  return answer;
}

/** The kept files' names and sizes, in both kinds of store. */
async function listKept() {
  const page = await openPage();
  const kept = await page.evaluate(async () => {
    const files = {};
    const root = await navigator.storage.getDirectory();
    for await (const [, folder] of root.entries()) {
      for await (const [name, entry] of folder.entries()) {
        // Another page may be writing: what is gone by now is not kept.
        const file = await entry.getFile().catch(() => undefined);
        if (file) files[name] = file.size;
      }
    }
    for (const name of await caches.keys()) {
      for (const request of await (await caches.open(name)).keys()) files[request.url] = -1;
    }
    return files;
  });
  await page.close();
  return kept;
}

/** Changes kept pieces of the private file system: `part` of the largest file, by a function of its bytes. */
async function damage(part, change) {
  const page = await openPage();
  await page.evaluate(
    async ([part, change]) => {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("crossrank-v1");
      for await (const [name, handle] of folder.entries()) {
        const file = await handle.getFile();
        if (!name.endsWith(part) || file.size < 1_000_000) continue;
        const bytes = new Uint8Array(await file.arrayBuffer());
        if (change === "remove") return folder.removeEntry(name);
        if (change === "flip") bytes[500_000] ^= 1;
        const writable = await handle.createWritable();
        await writable.write(change === "truncate" ? bytes.subarray(0, 1000) : bytes);
        return writable.close();
      }
      throw new Error("there is nothing to damage");
    },
    [part, change],
  );
  await page.close();
}

const model = (weights = { sha256: HASH }, address = site.address) => ({
  name: "m",
  files: {
    "config.json": { source: `${address}/m/config.json` },
    "tokenizer.json": { source: `${address}/m/tokenizer.json` },
    "model.safetensors": { source: `${address}${PATH}`, ...weights },
  },
});

function assertWhole(answer, hash = HASH) {
  assert.deepEqual(answer.error, undefined);
  assert.equal(answer.hashes["model.safetensors"], hash);
}

describe("storage in Chromium", { skip: noChromium }, () => {
  before(async () => {
    browser = await launchChromium();
    site = await serve({ ...pageFiles(), ...MODEL });
  });
  after(async () => {
    await browser?.close();
    await site?.close();
  });
  beforeEach(async () => {
    await context?.close();
    context = await browser.newContext();
    site.reset();
    Object.assign(site.files, MODEL);
    problems.length = 0;
  });
  const silent = () => assert.deepEqual(problems, []);

  const PLACES = [
    { where: "the private file system, in a worker", cache: "auto", isInWorker: true },
    { where: "the private file system, in the page", cache: "opfs", isInWorker: false },
    { where: "Cache Storage", cache: "cache-storage", isInWorker: true },
  ];
  for (const { where, cache, isInWorker } of PLACES) {
    describe(`in ${where}`, () => {
      const job = { cache, choice: undefined };
      const load = (more) => visit({ ...job, choice: model(), ...more }, { isInWorker });

      test("a model is kept, and comes from there with its hash checked and no download", async () => {
        const first = await load();
        assertWhole(first);
        assert.deepEqual(first.delivered, { unverified: ["config.json", "tokenizer.json"] });
        const names = Object.keys(await listKept());
        assert.equal(names.filter((name) => /\.part\d+$/.test(name)).length, 5, `${names}`);
        site.reset();
        const second = await load();
        assertWhole(second);
        assert.deepEqual(second.hashes, first.hashes);
        assert.equal(second.opened, 1);
        assert.deepEqual(second.events.at(-1), { status: "done", name: "m", file: "model.safetensors" });
        // The small files have no hash: only the server knows whether they are still the same.
        const asked = site.requests.filter(({ path }) => path.startsWith("/m/"));
        assert.deepEqual(asked.map(({ method, path }) => [method, path]), [["HEAD", "/m/config.json"], ["HEAD", "/m/tokenizer.json"]]);
        silent();
      });

      test("what came before an abort is continued on the next visit", async () => {
        site.set(PATH, { msPerChunk: 1 });
        const first = await load({ abortAt: 12_000_000 });
        assert.equal(first.error.message, "stopped by the test");
        assert.ok(first.msAfterAbort < 100, `${first.msAfterAbort} ms`);
        assertWhole(await load());
        const [, second] = site.gets(PATH);
        const start = Number(/^bytes=(\d+)-$/.exec(second.range)[1]);
        assert.ok(start >= 11_000_000 && start < 14_000_000, `${start}`);
        site.reset();
        assertWhole(await load());
        assert.equal(site.gets(PATH).length, 0);
        silent();
      });

      test("what came before the tab was closed is continued, but for the last megabytes", async () => {
        site.set(PATH, { msPerChunk: 5 });
        const page = await openPage();
        const running = runIn(page, { ...job, choice: model() }, isInWorker).catch(() => {});
        while (!Object.keys(await listKept()).some((name) => name.endsWith(".part0") && name)) await sleep(20);
        while (!(await hasNote(2))) await sleep(50);
        await page.close();
        await running;
        site.reset();
        assertWhole(await load());
        assert.match(site.gets(PATH)[0].range, /^bytes=(8|16)\d{6}-$/);
        silent();
      });

      test("two tabs at once download it once", async () => {
        site.set(PATH, { msPerChunk: 1 });
        const pages = [await openPage(), await openPage()];
        const answers = await Promise.all(pages.map((page) => runIn(page, { ...job, choice: model() }, isInWorker)));
        answers.forEach((answer) => assertWhole(answer));
        assert.equal(site.gets(PATH).length, 1);
        silent();
      });
    });
  }

  /** Whether so many files are noted, whole or not. */
  async function hasNote(atLeast) {
    const kept = Object.keys(await listKept());
    return kept.filter((name) => name.endsWith(".json")).length > atLeast;
  }

  describe("a kept file", () => {
    const load = (more) => visit({ choice: model(), ...more });

    for (const change of ["flip", "truncate", "remove"]) {
      test(`that is damaged (${change}) is deleted and downloaded again`, async () => {
        await load();
        await damage(".part1", change);
        site.reset();
        const second = await load();
        assertWhole(second);
        assert.equal(second.opened, 2);
        assert.equal(site.gets(PATH).length, 1);
        site.reset();
        assertWhole(await load());
        assert.equal(site.gets(PATH).length, 0);
      });
    }

    test("without a known hash is checked by that of its first coming", async () => {
      await load({ choice: model({}) });
      await damage(".part1", "flip");
      const second = await load({ choice: model({}) });
      assertWhole(second);
      assert.equal(second.opened, 2);
    });

    test("that another hash is now wanted of is downloaded again", async () => {
      await load();
      site.files[PATH] = randomBytes(2_000_000, 7);
      const hash = sha256(site.files[PATH]);
      assertWhole(await load({ choice: model({ sha256: hash }) }), hash);
      const sizes = Object.values(await listKept());
      assert.ok(sizes.reduce((sum, size) => sum + size) < 2_100_000, "the first one is gone");
    });

    test("without a hash is downloaded again once another lies at its address", async () => {
      await load({ choice: model({}) });
      site.files[PATH] = randomBytes(2_000_000, 7);
      assertWhole(await load({ choice: model({}) }), sha256(site.files[PATH]));
    });

    test("is of use without a network, however the model was named", async () => {
      const other = await serve({ ...MODEL }, { cors: "plain" });
      const siblings = ["config.json", "tokenizer.json", "model.safetensors"].map((rfilename) => ({
        rfilename,
        ...(rfilename === "model.safetensors" && { size: WEIGHTS.length, lfs: { sha256: HASH } }),
      }));
      other.files["/api/models/owner/name/revision/main"] = JSON.stringify({ sha: COMMIT, siblings });
      for (const name of Object.keys(MODEL)) other.files[name.replace("/m/", `/owner/name/resolve/${COMMIT}/`)] = MODEL[name];
      const choices = [model({}, other.address), `${other.address}/m`, "owner/name"];
      for (const choice of choices) assertWhole(await visit({ choice, baseUrl: other.address }));
      await other.close();
      for (const choice of choices) assertWhole(await visit({ choice, baseUrl: other.address }));
    });

    test("of a pinned commit is used without asking anyone", async () => {
      const folder = `/owner/name/resolve/${COMMIT}`;
      for (const name of Object.keys(MODEL)) site.files[name.replace("/m", folder)] = MODEL[name];
      const pinned = model({});
      for (const [name, file] of Object.entries(pinned.files)) file.source = `${site.address}${folder}/${name}`;
      await load({ choice: pinned });
      site.reset();
      assertWhole(await load({ choice: pinned }));
      assert.deepEqual(site.requests.filter(({ path }) => path.startsWith("/owner")), []);
    });
  });

  describe("a part of a file", () => {
    const load = (more) => visit({ choice: model(), ...more });
    const begin = (choice = model()) => load({ choice, abortAt: 12_000_000 });

    test("that is damaged is noticed at the end, and all is downloaded again", async () => {
      await begin();
      await damage(".part0", "flip");
      const second = await load();
      assertWhole(second);
      assert.equal(second.opened, 2);
      assert.deepEqual(site.gets(PATH).slice(1).map(({ range }) => range === undefined), [false, true]);
    });

    test("of a file that has changed is thrown away before anyone gets it", async () => {
      await begin(model({}));
      site.files[PATH] = randomBytes(20_000_000, 8);
      const second = await load({ choice: model({}) });
      assertWhole(second, sha256(site.files[PATH]));
      assert.equal(second.opened, 1);
    });

    test("is fed once and not fetched again where the server ignores Range", async () => {
      await begin();
      site.set(PATH, { ignoresRange: true });
      const second = await load();
      assertWhole(second);
      assert.equal(second.opened, 1);
    });

    test("survives a network that is gone", async () => {
      await begin();
      site.set(PATH, { breaks: true });
      assert.equal((await load()).error.code, "network");
      site.reset();
      assertWhole(await load());
      assert.match(site.gets(PATH)[0].range, /^bytes=1[12]/);
    });

    test("survives a page in place of the file", async () => {
      await begin();
      site.set(PATH, { body: "<html>log in to this network", headers: { "content-type": "text/html" } });
      assert.equal((await load()).error.code, "model_unreadable");
      site.reset();
      assertWhole(await load());
      assert.match(site.gets(PATH)[0].range, /^bytes=1[12]/);
    });

    test("is not left of a file with a wrong hash", async () => {
      const wrong = model({ sha256: "0".repeat(64) });
      const answer = await load({ choice: wrong });
      assert.equal(answer.error.code, "integrity_mismatch");
      assert.equal(site.gets(PATH).length, 1);
      assert.ok(Object.values(await listKept()).every((size) => size < 1000));
    });

    test("is completed where only the end was not noted", async () => {
      const { bytes } = { bytes: 8_388_608 };
      site.files[PATH] = WEIGHTS.subarray(0, bytes);
      const choice = model({ sha256: sha256(site.files[PATH]), bytes });
      await load({ choice, abortAt: bytes });
      site.reset();
      assertWhole(await load({ choice }), choice.files["model.safetensors"].sha256);
      assert.equal(site.gets(PATH).length, 0);
    });
  });

  describe("room", () => {
    /** A browser that tells how little room there is; Chromium tells every page of 10 GiB. */
    const telling = (quota) => `{
      const estimate = async () => ({ quota: ${quota}, usage: 0 });
      Object.defineProperty(StorageManager.prototype, "estimate", { value: estimate });
    }`;
    async function withQuota(quota, job) {
      const page = await openPage(context, telling(quota));
      const answer = await runIn(page, job, false);
      await page.close();
      return answer;
    }
    const kept = async () => Object.values(await listKept()).reduce((sum, size) => sum + size, 0);

    test("is asked for first; where there is too little the model is loaded and not kept", async () => {
      const choice = model({ sha256: HASH, bytes: WEIGHTS.length });
      const answer = await withQuota(5_000_000, { choice });
      assertWhole(answer);
      assert.match(answer.delivered.notKept, /20000\d+ bytes are to be kept and .* room for \d+/);
      assert.equal(await kept(), 0);
      const unknown = await withQuota(5_000_000, { choice: model({}) });
      assertWhole(unknown);
      assert.match(unknown.delivered.notKept, /20000000 bytes/);
    });

    test("is needed where the cache was asked for by name", async () => {
      const choice = model({ sha256: HASH, bytes: WEIGHTS.length });
      const { error } = await withQuota(5_000_000, { choice, cache: "opfs" });
      assert.deepEqual([error.name, error.code], ["RerankError", "storage_full"]);
      assert.match(error.hint, /auto/);
      assert.equal(site.gets(PATH).length, 0);
    });

    for (const cache of ["auto", "cache-storage"]) {
      test(`that runs out on the way is no error, and nothing is left of it (${cache})`, async () => {
        // As with a full disk, more is promised than there is.
        const page = await openPage(context, telling(1e12));
        const session = await context.newCDPSession(page);
        await session.send("Storage.overrideQuotaForOrigin", { origin: site.address, quotaSize: 10_000_000 });
        const answer = await runIn(page, { choice: model(), cache }, false);
        assertWhole(answer);
        assert.match(answer.delivered.notKept, /storage failed/);
        assert.equal(answer.opened, 1);
        await session.send("Storage.overrideQuotaForOrigin", { origin: site.address });
        const names = Object.keys(await listKept()).filter((name) => /\.part/.test(name));
        assert.equal(names.length, 2, `only the small files are kept: ${names}`);
        silent();
      });
    }
  });

  test("nothing is written with cache: none", async () => {
    assertWhole(await visit({ choice: model(), cache: "none" }));
    assertWhole(await visit({ choice: `${site.address}/m`, cache: "none" }));
    assert.deepEqual(await listKept(), {});
    silent();
  });

  test("without the private file system Cache Storage is taken, without locks nothing", async () => {
    const noFiles = () => void delete StorageManager.prototype.getDirectory;
    const { kind } = await visit({ choice: model() }, { isInWorker: false, init: noFiles });
    assert.equal(kind, "cache-storage");
    assert.ok(Object.keys(await listKept()).every((name) => name.startsWith("https://crossrank-v1.invalid/")));
    const noLocks = () => void delete Navigator.prototype.locks;
    const answer = await visit({ choice: model() }, { isInWorker: false, init: noLocks });
    assertWhole(answer);
    assert.deepEqual([answer.kind, answer.delivered.notKept], ["none", "there is no cache here"]);
    const { error } = await visit({ choice: model(), cache: "opfs" }, { isInWorker: false, init: noLocks });
    assert.equal(error.code, "invalid_input");
  });

  test("clearing deletes everything but what another tab is downloading", async () => {
    for (const cache of ["opfs", "cache-storage"]) await visit({ choice: `${site.address}/m`, cache });
    assert.ok(Object.keys(await listKept()).length > 10);
    await visit({ clears: true });
    assert.deepEqual(await listKept(), {});
    site.set(PATH, { msPerChunk: 5 });
    const page = await openPage();
    const running = runIn(page, { choice: model() });
    while (!(await hasNote(1))) await sleep(20);
    await visit({ clears: true });
    assertWhole(await running);
    site.reset();
    assertWhole(await visit({ choice: model() }));
    assert.equal(site.gets(PATH).length, 0);
  });

  test("a tab that waits for another's download can be aborted at once", async () => {
    site.set(PATH, { msPerChunk: 5 });
    const running = runIn(await openPage(), { choice: model() });
    while (!(await hasNote(1))) await sleep(20);
    const waiting = await visit({ choice: model(), abortAfterMs: 300 });
    assert.equal(waiting.error.message, "stopped by the test");
    assert.ok(waiting.msAfterAbort < 100);
    assertWhole(await running);
    silent();
  });

  describe("another origin", () => {
    test("is asked without a preflight, and resumed by the hash where it hides its headers", async () => {
      const other = await serve(MODEL, { cors: "plain" });
      other.set(PATH, { cutAfter: 5_000_000, times: 1 });
      const answer = await visit({ choice: model({ sha256: HASH }, other.address) });
      assertWhole(answer);
      assert.equal(answer.opened, 1);
      assert.match(other.gets(PATH)[1].range, /^bytes=\d+-$/);
      assert.ok(other.requests.every(({ method }) => method !== "OPTIONS"));
      await other.close();
    });

    test("is resumed by its ETag where it shows that", async () => {
      const other = await serve({ ...MODEL }, { cors: "exposed" });
      await visit({ choice: model({}, other.address), abortAt: 12_000_000 });
      assertWhole(await visit({ choice: model({}, other.address) }));
      assert.match(other.gets(PATH)[1].range, /^bytes=1/);
      await other.close();
    });

    test("that does not allow it is a network error that says so", async () => {
      const other = await serve(MODEL);
      const { error } = await visit({ choice: model({}, other.address) });
      assert.deepEqual([error.name, error.code], ["RerankError", "network"]);
      assert.match(error.hint, /CORS/);
      await other.close();
      silent();
    });
  });

  test("a file that was changed after it was picked is unreadable; another picks right", async () => {
    const page = await openPage();
    const answer = await page.evaluate(async () => {
      const { run } = await import("/job.mjs");
      const file = new File([new Uint8Array(3_000_000)], "m.gguf");
      return run({ choice: [file] });
    });
    assert.deepEqual(answer.error, undefined);
    assert.equal(answer.hashes["m.gguf"], sha256(new Uint8Array(3_000_000)));
    assert.deepEqual(site.requests.filter(({ path }) => path.startsWith("/m/")), []);
  });

  test("a big file passes through without being held in memory", async () => {
    // So big that what is not yet collected of it, some 150 MB, is little beside it.
    const weights = Buffer.alloc(600_000_000, 1);
    site.files[PATH] = weights;
    for (const cache of ["opfs", "cache-storage"]) {
      await context.close();
      context = await browser.newContext();
      const page = await openPage();
      const idle = await peakBytes();
      const answer = await runIn(page, { choice: model({}), cache, counts: true });
      assert.deepEqual([answer.error, answer.received], [undefined, weights.length]);
      const grown = (await peakBytes()) - idle;
      console.log(`600 MB through ${cache}: renderers' peak memory grew by ${Math.round(grown / 1e6)} MB`);
      assert.ok(grown < weights.length / 2, `${grown}`);
    }
  });

  /** The sum of the peaks of all renderers. */
  async function peakBytes() {
    const session = await browser.newBrowserCDPSession();
    const { processInfo } = await session.send("SystemInfo.getProcessInfo");
    await session.detach();
    const peaks = processInfo
      .filter(({ type }) => type === "renderer")
      .map(({ id }) => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${id}/status`, "utf8"))[1]) * 1024);
    return peaks.reduce((sum, peak) => sum + peak, 0);
  }
});

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
