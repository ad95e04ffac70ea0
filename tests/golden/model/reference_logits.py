"""The logits that Hugging Face transformers gives a checkpoint's stored values, one JSON line a pair.

    python reference_logits.py FOLDER IDS.jsonl [--dtype f64|f32]

IDS.jsonl is what `crossrank tokenize` prints. Needs torch, transformers and safetensors. jina-reranker-v2's
flash layout is renamed to transformers' own.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import (BertConfig, BertForSequenceClassification, XLMRobertaConfig,
                          XLMRobertaForSequenceClassification)

FLASH = (("emb_ln", "embeddings.LayerNorm"), (".layers.", ".layer."), ("mixer.out_proj", "attention.output.dense"),
         ("norm1", "attention.output.LayerNorm"), ("norm2", "output.LayerNorm"), ("mlp.fc1", "intermediate.dense"),
         ("mlp.fc2", "output.dense"))


def to_transformers(name, value):
    """(name, tensor) as transformers has them: one matrix becomes query, key and value."""
    for flash, own in FLASH:
        name = name.replace(flash, own)
    if ".mixer.Wqkv." not in name:
        yield name, value
        return
    for part, rows in zip(("query", "key", "value"), value.chunk(3)):
        yield name.replace("mixer.Wqkv", f"attention.self.{part}"), rows


def load(folder, dtype):
    config = json.loads((folder / "config.json").read_text())
    bert = config.get("model_type") == "bert"
    kind, family = ((BertConfig, BertForSequenceClassification) if bert
                    else (XLMRobertaConfig, XLMRobertaForSequenceClassification))
    torch.set_default_dtype(dtype)
    own = {key: value for key, value in config.items() if key not in ("model_type", "auto_map", "architectures")}
    with torch.device("meta"):
        model = family._from_config(kind(**own | {"num_labels": 1}), attn_implementation="eager")
    state = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as stored:
            for name in stored.keys():
                state |= {own: value.to(dtype) for own, value in to_transformers(name, stored.get_tensor(name))}
    problem = model.load_state_dict(state, strict=False, assign=True)
    assert not problem.missing_keys, problem
    assert not any(name.endswith("_scale") for name in problem.unexpected_keys), "quantized: multiply it out first"
    for name, buffer in list(model.named_buffers()):  # made on "meta", too: their contents are lost
        module = model.get_submodule(name.rpartition(".")[0])
        fresh = torch.arange(buffer.shape[-1])[None] if name.endswith("position_ids") else torch.zeros(buffer.shape)
        setattr(module, name.rpartition(".")[2], fresh.to(buffer.dtype))
    return model.eval()


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("ids", type=Path)
    parser.add_argument("--dtype", choices=["f64", "f32"], default="f64")
    arguments = parser.parse_args()
    model = load(arguments.folder, torch.float64 if arguments.dtype == "f64" else torch.float32)
    for index, line in enumerate(arguments.ids.read_text().splitlines()):
        pair = json.loads(line)
        ids = torch.tensor([pair["ids"]])
        types = torch.tensor([pair.get("type_ids", [0] * len(pair["ids"]))])
        output = model(input_ids=ids, token_type_ids=types, attention_mask=torch.ones_like(ids))
        print(json.dumps({"index": index, "logit": output.logits.item()}))


if __name__ == "__main__":
    main()
