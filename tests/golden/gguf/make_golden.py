"""GGUF files as llama.cpp's converter lays them out, and the logits that transformers gives their weights in float64.

    python make_golden.py            # rewrites the files beside this one

The weights are those of ../model, the vocabulary is ../tokenizer's. Quantising and multiplying out are the `gguf`
package's, the layout is llama.cpp's (layout.py). Needs gguf, torch, transformers and safetensors.
"""

import base64
import json
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from safetensors.torch import load_file
from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "model"))
import layout  # noqa: E402
from reference_logits import to_transformers  # noqa: E402

FIXTURES = (("xlmr-f16", "xlmr-f16", Type.F16, Type.F16, "sentencepiece"), ("xlmr-q8_0", "xlmr", Type.Q8_0, Type.Q8_0, None),
            ("xlmr-flash-q4_0", "xlmr-flash", Type.Q4_0, Type.Q8_0, None))


def add_tiny_vocabulary(writer, config, source):
    """As the converter reads it from sentencepiece.bpe.model, which has no <mask>, or from tokenizer.json."""
    tokenizer = json.loads((HERE.parent / "tokenizer/tiny-xlmr-jina.json").read_text())
    pieces, charsmap = tokenizer["model"]["vocab"], None
    kinds = layout.kinds_of(len(pieces))
    if source == "sentencepiece":
        pieces[-1], kinds[-1] = [f"[PAD{len(pieces) - 2}]", -10000.0], gguf.TokenType.UNUSED
        charsmap = base64.b64decode(tokenizer["normalizer"]["precompiled_charsmap"])
    layout.add_vocabulary(writer, config, pieces, kinds, charsmap)


def write(name, source, matrices, words, vocabulary):
    """Writes the file and gives Hugging Face's configuration and tensors of what is in it."""
    config = json.loads((HERE.parent / "model" / source / "config.json").read_text())
    writer = layout.open_writer(HERE / f"{name}.gguf", name, config)
    add_tiny_vocabulary(writer, config, vocabulary)
    state = {}
    for hf_name, value in load_file(HERE.parent / "model" / source / "model.safetensors").items():
        if hf_name.endswith("position_ids"):
            continue
        value = value.to(torch.float32).numpy()
        stored, form, left_out = layout.add_tensor(writer, config, hf_name, value, matrices, words)
        back = gguf.quants.dequantize(stored, form).reshape(value[left_out:].shape)
        state[hf_name] = np.concatenate([np.zeros_like(value[:left_out]), back])
    layout.finish(writer)
    return config, state


@torch.no_grad()
def logits(config, state, pairs):
    torch.set_default_dtype(torch.float64)
    known = {key: value for key, value in config.items() if key not in ("model_type", "auto_map", "architectures")}
    model = XLMRobertaForSequenceClassification(XLMRobertaConfig(**(known | {"num_labels": 1}))).eval()
    renamed = {}
    for name, value in state.items():
        renamed.update(to_transformers(name, torch.from_numpy(value.astype(np.float64))))
    missing, unexpected = model.load_state_dict(renamed, strict=False)
    assert not unexpected and all("position_ids" in name or "token_type_ids" in name for name in missing), (missing, unexpected)
    for pair in pairs:
        ids = torch.tensor([pair["ids"]])
        yield model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.item()


def blocks():
    """Random bytes, and what the package makes of them."""
    random = np.random.default_rng(7)
    result = []
    for form, block, count in ((Type.Q8_0, 34, 4), (Type.Q4_0, 18, 4), (Type.Q6_K, 210, 2)):
        stored = random.integers(0, 256, (count, block), dtype=np.uint8)
        scale_at = 208 if form == Type.Q6_K else 0
        stored[:, scale_at:scale_at + 2] = random.normal(0, 0.1, (count, 1)).astype(np.float16).view(np.uint8)
        values = gguf.quants.dequantize(stored.reshape(1, -1), form).reshape(-1)
        result.append({"form": form.name, "bytes": stored.reshape(-1).tolist(), "values": [float(value) for value in values]})
    return result


def main():
    golden = {}
    for name, source, matrices, words, vocabulary in FIXTURES:
        pairs = json.loads((HERE.parent / "model" / source / "golden.json").read_text())["pairs"]
        config, state = write(name, source, matrices, words, vocabulary)
        golden[name] = {"pairs": pairs, "logits": list(logits(config, state, pairs))}
        print(name, (HERE / f"{name}.gguf").stat().st_size, golden[name]["logits"][:3])
    (HERE / "golden.json").write_text(json.dumps(golden) + "\n")
    (HERE / "blocks.json").write_text(json.dumps(blocks()) + "\n")


if __name__ == "__main__":
    main()
