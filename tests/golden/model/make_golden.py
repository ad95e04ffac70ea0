"""Small random checkpoints with the logits that Hugging Face transformers gives them in float64.

    python make_golden.py            # rewrites the folders beside this file

Needs torch, transformers and safetensors. Everything follows from the seeds. Weights are scaled so that
attention is peaked and the logits spread; every mutant of the mathematics that a reader of the paper could
take for right changes a logit by at least 20 times the tolerance, or the script stops.
"""

import contextlib
import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import (BertConfig, BertForSequenceClassification, XLMRobertaConfig,
                          XLMRobertaForSequenceClassification)

HERE = Path(__file__).parent
TOLERANCE = 2e-5
VOCAB = 1000

XLMR = dict(vocab_size=VOCAB, hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=128,
            max_position_embeddings=130, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0,
            eos_token_id=2, hidden_act="gelu", num_labels=1)
BERT = XLMR | dict(max_position_embeddings=128, type_vocab_size=2, layer_norm_eps=1e-12, pad_token_id=0)


def random_weights(model, seed, embedding_scale):
    """Fills every parameter; the scales were chosen by looking at attention and logits."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, value in model.state_dict().items():
        if not value.is_floating_point():
            continue
        noise = torch.randn(value.shape, generator=generator, dtype=torch.float64)
        width = value.shape[-1]
        if "LayerNorm" in name:
            scale, offset = (0.2, 1.0) if name.endswith("weight") else (0.2, 0.0)
        elif "embeddings" in name:
            scale, offset = embedding_scale, 0.0
        elif name.endswith("bias"):
            scale, offset = 0.1, 0.0
        elif ".query." in name or ".key." in name:
            scale, offset = 2.2 / math.sqrt(width), 0.0
        elif name.startswith(("classifier.out_proj", "classifier.weight")):
            scale, offset = 10.0 / math.sqrt(width), 0.0
        else:
            scale, offset = 1.3 / math.sqrt(width), 0.0
        state[name] = noise * scale + offset
    return state


def pairs(config, seed, bert):
    """(ids, type ids) in the family's template, from the shortest to the longest the positions allow."""
    generator = torch.Generator().manual_seed(seed)
    longest = config.max_position_embeddings - (0 if bert else config.pad_token_id + 1)
    lengths = [5, 6, 7, 9, 12, 17, 24, 31, 40, 52, 64, 80, 100, longest] + [11, 19, 27, 33, 45, 58, 71, 90, 110, longest]
    result = []
    for length in lengths:
        special = 3 if bert else 4
        text = torch.randint(10, VOCAB, (length - special,), generator=generator).tolist()
        split = max(0, min(len(text) - 1, 1 + len(text) // 4))
        query, document = text[:split], text[split:]
        if bert:
            ids = [5, *query, 6, *document, 6]
            types = [0] * (len(query) + 2) + [1] * (len(document) + 1)
        else:
            ids, types = [0, *query, 2, 2, *document, 2], [0] * length
        result.append((ids, types))
    if not bert:  # a literal <pad> in the user's text: positions skip it
        result.append(([0, 20, 30, 2, 2, 40, 1, 50, 1, 60, 2], [0] * 11))
    return result


@torch.no_grad()
def run(model, pair, stages=False):
    ids, types = (torch.tensor([part]) for part in pair)
    output = model(input_ids=ids, token_type_ids=types, attention_mask=torch.ones_like(ids), output_hidden_states=stages)
    return (output.logits.item(), output.hidden_states) if stages else output.logits.item()


@torch.no_grad()
def run_padded_without_mask(model, all_pairs, pad):
    longest = max(len(ids) for ids, _ in all_pairs)
    ids = torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in all_pairs])
    types = torch.tensor([types + [0] * (longest - len(types)) for _, types in all_pairs])
    return model(input_ids=ids, token_type_ids=types, attention_mask=torch.ones_like(ids)).logits[:, 0].tolist()


@contextlib.contextmanager
def changed(model, mutant):
    """The model with one thing wrong."""
    encoder = model.base_model.encoder.layer
    norms = [module for module in model.modules() if isinstance(module, torch.nn.LayerNorm)]
    embeddings = model.base_model.embeddings
    with contextlib.ExitStack() as stack:
        def patch(target, name, value):
            stack.callback(setattr, target, name, getattr(target, name))
            setattr(target, name, value)

        if mutant == "tanh_gelu":
            for layer in encoder:
                patch(layer.intermediate, "intermediate_act_fn", torch.nn.GELU(approximate="tanh"))
        elif mutant == "positions_off_by_one":
            table = embeddings.position_embeddings.weight
            patch(table, "data", torch.roll(table.data, 1, 0))
        elif mutant == "query_and_key_swapped":
            for layer in encoder:
                attention = layer.attention.self
                query, key = attention.query, attention.key
                attention.query, attention.key = key, query
                stack.callback(lambda a=attention, q=query, k=key: (setattr(a, "query", q), setattr(a, "key", k)))
        elif mutant == "eps_1e-12":
            for norm in norms:
                patch(norm, "eps", 1e-12)
        elif mutant == "eps_1e-5":
            for norm in norms:
                patch(norm, "eps", 1e-5)
        elif mutant == "token_types_ignored":
            patch(embeddings.token_type_embeddings.weight, "data",
                  embeddings.token_type_embeddings.weight.data[:1].repeat(2, 1))
        elif mutant == "scale_by_head_dim":
            for layer in encoder:
                attention = layer.attention.self
                patch(attention, "scaling", 1.0 / attention.attention_head_size)
        yield model


def relative(found, expected):
    return max(abs(f - e) / max(1.0, abs(e)) for f, e in zip(found, expected))


def mutants(model, all_pairs, logits, names, pad):
    result = {}
    for name in names:
        with changed(model, name):
            result[name] = relative([run(model, pair) for pair in all_pairs], logits)
    result["no_padding_mask"] = relative(run_padded_without_mask(model, all_pairs, pad), logits)
    return result


def to_flash(state):
    """jina-reranker-v2's names: query, key and value as the rows of one matrix."""
    renamed = {}
    for name, value in state.items():
        parts = name.split(".")
        if ".attention.self." in name:
            layer, kind, which = parts[3], parts[-1], parts[-2]
            if which == "query":
                rows = [state[name.replace(".query.", f".{part}.")] for part in ("query", "key", "value")]
                renamed[f"roberta.encoder.layers.{layer}.mixer.Wqkv.{kind}"] = torch.cat(rows)
            continue
        for old, new in (("embeddings.LayerNorm", "emb_ln"), ("attention.output.dense", "mixer.out_proj"),
                         ("attention.output.LayerNorm", "norm1"), ("intermediate.dense", "mlp.fc1"),
                         ("output.dense", "mlp.fc2"), ("output.LayerNorm", "norm2"), (".layer.", ".layers.")):
            name = name.replace(old, new)
        renamed[name] = value
    return renamed


def write_weights(folder, state, shards):
    state = {name: value.contiguous() for name, value in state.items()}
    if shards == 1:
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names, index = sorted(state), {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = names[shard * len(names) // shards:(shard + 1) * len(names) // shards]
        save_file({name: state[name] for name in part}, folder / file, metadata={"format": "pt"})
        index |= {name: file for name in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}, indent=1))


def write_golden(folder, all_pairs, model, logits, figures):
    stages = {}
    for index, pair in enumerate(all_pairs[:3]):
        _, hidden = run(model, pair, stages=True)
        stages[f"pair.{index}.embeddings"] = hidden[0][0].float().clone()
        for layer, state in enumerate(hidden[1:]):
            last = layer == len(hidden) - 2
            stages[f"pair.{index}.layer.{layer}"] = (state[0, :1] if last else state[0]).float().clone()
    save_file(stages, folder / "golden.safetensors")
    golden = {"pairs": [{"ids": ids, "type_ids": types} for ids, types in all_pairs], "logits": logits, "mutants": figures}
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")


def fixture(name, config, bert=False, dtype=torch.float32, seed=1, embedding_scale=1.0, flash=False, shards=1,
            must_show=()):
    torch.set_default_dtype(torch.float64)
    family = BertForSequenceClassification if bert else XLMRobertaForSequenceClassification
    model = family._from_config(config, attn_implementation="eager").double().eval()
    stored = {key: value.to(dtype) for key, value in random_weights(model, seed, embedding_scale).items()}
    missing = model.load_state_dict({key: value.double() for key, value in stored.items()}, strict=False)
    assert not missing.unexpected_keys, missing
    all_pairs = pairs(config, seed, bert)
    logits = [run(model, pair) for pair in all_pairs]
    spread = torch.tensor(logits).std().item()
    names = ["tanh_gelu", "positions_off_by_one", "query_and_key_swapped", "scale_by_head_dim",
             "eps_1e-5" if bert else "eps_1e-12"] + (["token_types_ignored"] if bert else [])
    figures = mutants(model, all_pairs, logits, names, config.pad_token_id)
    print(f"{name}: std of logits {spread:.2f}, " + ", ".join(f"{key} {value:.1e}" for key, value in figures.items()))
    assert spread >= 2.0, spread
    assert all(figures[key] >= 20 * TOLERANCE for key in must_show), figures
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    written = config.to_dict() | {"architectures": [family.__name__], "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    if flash:
        written = {key: value for key, value in written.items() if key != "model_type"}
        written |= {"use_flash_attn": True, "num_labels": 1,
                    "auto_map": {"AutoConfig": "configuration_xlm_roberta.XLMRobertaFlashConfig"}}
        stored = to_flash(stored)
    elif name == "xlmr":  # bge-reranker-base and -large carry this buffer
        stored["roberta.embeddings.position_ids"] = torch.arange(config.max_position_embeddings)[None]
    (folder / "config.json").write_text(json.dumps(written, indent=1, sort_keys=True) + "\n")
    write_weights(folder, stored, shards)
    write_golden(folder, all_pairs, model, logits, figures)


def main():
    always = ("tanh_gelu", "positions_off_by_one", "query_and_key_swapped", "scale_by_head_dim", "no_padding_mask")
    fixture("xlmr", XLMRobertaConfig(**XLMR), must_show=always)
    fixture("xlmr-flash", XLMRobertaConfig(**XLMR), dtype=torch.bfloat16, flash=True, must_show=always)
    wide = XLMR | dict(hidden_size=96, num_attention_heads=3, intermediate_size=160)
    fixture("xlmr-f16", XLMRobertaConfig(**wide), dtype=torch.float16, seed=3, must_show=always)
    fixture("xlmr-small-embeddings", XLMRobertaConfig(**XLMR), seed=4, embedding_scale=2e-3,
            must_show=(*always, "eps_1e-12"))
    fixture("bert", BertConfig(**BERT), bert=True, seed=5, shards=2, must_show=(*always, "token_types_ignored"))


if __name__ == "__main__":
    main()
