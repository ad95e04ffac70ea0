// GGUF files in the package: run `./build.sh pkg` first. The files themselves are compared with transformers natively.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before } from "node:test";
import { openSite, packageTests } from "./package-site.mjs";

const TEXTS = ["Berlin has many people", "Ｂｅｒｌｉｎ ﬁne café 人工知能", "the <mask> end", "  two   spaces ", ""];
const PAIRS = TEXTS.map((text) => ["how many people live in Berlin?", text]);
const gguf = (name) => readFileSync(new URL(`../golden/gguf/${name}.gguf`, import.meta.url));

const ggufTest = packageTests("gguf");
let site;
before(async () => {
  site = await openSite();
});
after(() => site.close());

/** The logits of `PAIRS` by a model that is loaded for this alone, and what it says of itself. */
const score = (page, model, options) =>
  page.evaluate(async ([model, options, pairs]) => {
    const reranker = await Reranker.load(model, { device: "wasm", cache: "none", ...options });
    const { info } = reranker;
    const logits = (await reranker.computeScore(pairs)).map(({ logit }) => logit);
    await reranker.dispose();
    return { logits, info };
  }, [model, options, PAIRS]);

function assertClose(found, expected, tolerance) {
  const apart = Math.max(...found.map((logit, index) => Math.abs(logit - expected[index]) / Math.max(1, Math.abs(expected[index]))));
  assert.ok(apart <= tolerance, `${apart}: ${found} and ${expected}`);
}

ggufTest("one GGUF file scores as the checkpoint and the tokenizer that it was made of", () =>
  site.visit(async (page) => {
    const source = (name) => ({ source: `/f16/${name}` });
    const files = Object.fromEntries(["config.json", "tokenizer.json", "model.safetensors"].map((name) => [name, source(name)]));
    const expected = await score(page, { name: "f16", files });
    const { logits, info } = await score(page, "/gguf/xlmr-f16.gguf");
    assert.deepEqual(logits, expected.logits);
    assert.deepEqual([info.name, info.vocabSize, info.maxTokens, info.weightBytes], ["xlmr-f16", 1000, 128, gguf("xlmr-f16").length]);
  }));

ggufTest("integers score the same from an address and as a file that was picked", () =>
  site.visit(async (page) => {
    for (const name of ["xlmr-q8_0", "xlmr-flash-q4_0"]) {
      const { logits } = await score(page, `/gguf/${name}.gguf`);
      const picked = await page.evaluateHandle(async (name) => [new File([await (await fetch(`/gguf/${name}.gguf`)).blob()], `${name}.gguf`)], name);
      assertClose((await score(page, picked)).logits, logits, 1e-6);
    }
  }));

ggufTest("the same on WebGPU", () =>
  site.visit(async (page) => {
    const expected = await score(page, "/gguf/xlmr-q8_0.gguf", { dtype: "f32" });
    const { logits, info } = await score(page, "/gguf/xlmr-q8_0.gguf", { device: "webgpu", dtype: "f32" });
    assert.match(info.adapter, /swiftshader/i);
    assertClose(logits, expected.logits, 2e-4);
  }));

ggufTest("damaged and foreign files are typed errors, and the right one loads after them", () =>
  site.visit(async (page) => {
    const whole = gguf("xlmr-q8_0");
    const changed = (from, to) => {
      const at = whole.indexOf(from);
      return Buffer.concat([whole.subarray(0, at), Buffer.from(to), whole.subarray(at + to.length)]);
    };
    const bad = {
      cut: [whole.subarray(0, whole.length - 500), "integrity_mismatch"],
      header: [whole.subarray(0, 9000), "integrity_mismatch"],
      html: [Buffer.from("<!doctype html><title>no such file</title>"), "model_unreadable"],
      architecture: [changed("\x04\0\0\0\0\0\0\0bert", "\x04\0\0\0\0\0\0\0gpt2"), "model_unsupported"],
      head: [changed("cls.output.weight", "cls.ouxxut.weight"), "weights_mismatch"],
    };
    for (const [name, [bytes, code]] of Object.entries(bad)) {
      const found = await page.evaluate(
        ([name, bytes]) => failure(() => Reranker.load([new File([Uint8Array.from(bytes)], `${name}.gguf`)], { device: "wasm" })),
        [name, [...bytes]],
      );
      assert.deepEqual([name, found.isTyped, found.code], [name, true, code], JSON.stringify(found));
      assert.ok(found.hint, `${name}: ${found.message}`);
    }
    assert.equal((await score(page, "/gguf/xlmr-q8_0.gguf")).logits.length, PAIRS.length);
  }));
