// Runs in the page: the wasm modules against numbers of Hugging Face transformers. No DOM, so a worker can too.

const bytes = async (address) => {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
};
const json = async (address) => (await fetch(address)).json();

/** The module `cpu`, `cpu_relaxed`, `cpu_threads` or `gpu`, started. */
export async function start(kind) {
  const module = await import(`/web/dist/wasm/crossrank_${kind}.js`);
  await module.default({ module_or_path: `/web/dist/wasm/crossrank_${kind}.wasm` });
  return module;
}

/** A model of the files in `folder`, its weights in pieces of odd size. */
export async function load(module, folder, weights, { tokenizer, config, ...options } = {}) {
  const stream = await module.openModel(
    { name: folder, ...options },
    config ?? (await bytes(`${folder}/config.json`)),
    tokenizer ?? (await bytes(`${folder}/tokenizer.json`)),
  );
  for (const name of weights) {
    const file = typeof name === "string" ? await bytes(`${folder}/${name}`) : name;
    stream.beginFile(String(name), file.length);
    for (let at = 0; at < file.length; at += 65_537) stream.push(file.subarray(at, at + 65_537));
  }
  return stream.finish();
}

/** A tokenizer that reads the word `w7` as token 7, so that golden ids can be given as text. */
function wordTokenizer({ vocab, bos, eos, bert }) {
  const word = (id) => ({ id: `w${id}`, ids: [id], tokens: [`w${id}`] });
  const special = (id) => ({ SpecialToken: { id: `w${id}`, type_id: 0 } });
  const text = (id, type_id) => ({ Sequence: { id, type_id } });
  const second = bert ? 1 : 0;
  const last = { SpecialToken: { id: `w${eos}`, type_id: second } };
  const tokenizer = {
    version: "1.0",
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: "WhitespaceSplit" },
    post_processor: {
      type: "TemplateProcessing",
      single: [special(bos), text("A", 0), special(eos)],
      pair: [special(bos), text("A", 0), special(eos), ...(bert ? [] : [special(eos)]), text("B", second), last],
      special_tokens: { [`w${bos}`]: word(bos), [`w${eos}`]: word(eos) },
    },
    decoder: null,
    model: {
      type: "WordLevel",
      vocab: Object.fromEntries(Array.from({ length: vocab }, (_, id) => [`w${id}`, id])),
      unk_token: "w0",
    },
  };
  return new TextEncoder().encode(JSON.stringify(tokenizer));
}

/** Logits of the default model for pairs of texts. */
export async function defaultLogits(module, dtype, pairs) {
  const engine = await load(module, "/models/default", ["model.safetensors"], { dtype });
  const scores = await engine.computeScore(pairs, undefined, undefined);
  engine.free();
  return scores.map(({ logit }) => logit);
}

/** The largest relative difference of a fixture's logits, |Δ| / max(1, |logit|). */
export async function goldenLogits(module, fixture, weights, dtype = "f32") {
  const folder = `/tests/golden/model/${fixture}`;
  const { pairs, logits } = await json(`${folder}/golden.json`);
  const { vocab_size } = await json(`${folder}/config.json`);
  const bert = fixture === "bert";
  const [bos, eos] = bert ? [pairs[0].ids[0], pairs[0].ids.at(-1)] : [0, 2];
  const tokenizer = wordTokenizer({ vocab: vocab_size, bos, eos, bert });
  const engine = await load(module, folder, weights, { tokenizer, dtype });
  const words = (ids) => ids.map((id) => `w${id}`).join(" ");
  const texts = pairs.map(({ ids, type_ids }) => {
    const end = bert ? type_ids.indexOf(1) - 1 : ids.findIndex((id, at) => id === eos && ids[at + 1] === eos);
    return [words(ids.slice(1, end)), words(ids.slice(end + (bert ? 1 : 2), -1))];
  });
  pairs.forEach(({ ids }, index) => {
    const found = [...engine.tokenize(...texts[index]).ids];
    if (found.join() !== ids.join()) throw new Error(`${fixture} pair ${index}: ${found} is not ${ids}`);
  });
  const scores = await engine.computeScore(texts, undefined, undefined);
  engine.free();
  if (scores.length !== logits.length) throw new Error(`${scores.length} scores for ${logits.length} pairs`);
  return Math.max(
    ...scores.map(({ logit }, index) => Math.abs(logit - logits[index]) / Math.max(1, Math.abs(logits[index]))),
  );
}

/** Weights of the smallest model with a vocabulary of `rows`, all zero: only its tokenizer matters. */
function zeroWeights(rows) {
  const tensors = {};
  let length = 0;
  const add = (name, ...shape) => {
    const bytes = 4 * shape.reduce((product, size) => product * size, 1);
    tensors[name] = { dtype: "F32", shape, data_offsets: [length, (length += bytes)] };
  };
  const linear = (name, outputs, inputs) => (add(`${name}.weight`, outputs, inputs), add(`${name}.bias`, outputs));
  const norm = (name) => (add(`${name}.weight`, 8), add(`${name}.bias`, 8));
  add("roberta.embeddings.word_embeddings.weight", rows, 8);
  add("roberta.embeddings.position_embeddings.weight", 100_002, 8);
  add("roberta.embeddings.token_type_embeddings.weight", 2, 8);
  norm("roberta.embeddings.LayerNorm");
  const layer = "roberta.encoder.layer.0";
  for (const part of ["self.query", "self.key", "self.value", "output.dense"]) linear(`${layer}.attention.${part}`, 8, 8);
  norm(`${layer}.attention.output.LayerNorm`);
  linear(`${layer}.intermediate.dense`, 8, 8);
  linear(`${layer}.output.dense`, 8, 8);
  norm(`${layer}.output.LayerNorm`);
  linear("classifier.dense", 8, 8);
  linear("classifier.out_proj", 1, 8);
  const header = new TextEncoder().encode(JSON.stringify(tensors));
  const file = new Uint8Array(8 + header.length + length);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(header, 8);
  return file;
}

/** Long lists of ids are given as their hash. */
function fnv1a(ids) {
  const hash = ids.reduce((state, id) => BigInt.asUintN(64, (state ^ BigInt(id)) * 0x100000001b3n), 0xcbf29ce484222325n);
  return hash.toString(16).padStart(16, "0");
}

/** Compares a tokenizer's ids with Hugging Face's; gives how many texts and pairs were compared. */
export async function goldenIds(module, tokenizerAddress, idsAddress) {
  const given = await json("/tests/golden/tokenizer/strings.json");
  const golden = await json(idsAddress);
  const pad = golden.vocab_size === 30_522 ? 0 : 1;
  const config = new TextEncoder().encode(
    JSON.stringify({
      model_type: "xlm-roberta", architectures: ["XLMRobertaForSequenceClassification"], hidden_size: 8,
      num_hidden_layers: 1, num_attention_heads: 1, intermediate_size: 8, vocab_size: golden.vocab_size,
      max_position_embeddings: 100_002, type_vocab_size: 2, layer_norm_eps: 1e-5, pad_token_id: pad,
    }),
  );
  const tokenizer = await bytes(tokenizerAddress);
  const engine = await load(module, "golden", [zeroWeights(golden.vocab_size)], { config, tokenizer });
  const text = (value) => (typeof value === "string" ? value : value.repeat.join("").repeat(value.times));
  golden.pairs.forEach(({ ids, type_ids }, index) => {
    const found = engine.tokenize(text(given.pairs[index][0]), text(given.pairs[index][1]));
    if ([...found.ids].join() !== ids.join()) throw new Error(`pair ${index}: ${found.ids} is not ${ids}`);
    if ([...found.typeIds].join() !== type_ids.join()) throw new Error(`pair ${index}: other types`);
  });
  // With an empty query, the special tokens around it and behind the text are the template's.
  const before = pad === 0 ? 2 : 3;
  let compared = golden.pairs.length;
  for (const [group, texts] of Object.entries(given.groups)) {
    texts.forEach((value, index) => {
      const ids = [...engine.tokenize("", text(value)).ids].slice(before, -1);
      const expected = golden.strings[group][index];
      const same = Array.isArray(expected)
        ? ids.join() === expected.join()
        : ids.length === expected.count && fnv1a(ids) === expected.fnv1a.padStart(16, "0");
      if (!same) throw new Error(`${group} ${index}: ${ids.slice(0, 40)} is not ${JSON.stringify(expected).slice(0, 200)}`);
      compared += 1;
    });
  }
  engine.free();
  return compared;
}
