"""A checkpoint of true shape with random weights, for what small ones cannot show: memory, speed, long sums.

    python make_full_size.py {bge-m3,jina-v2,minilm-l12} FOLDER [--dtype f32|f16|bf16] [--vocab N] [--seed N]

Needs numpy. Tensors are drawn and written in pieces, so memory stays small. Attention is a little less peaked
than make_golden.py's: over hundreds of tokens transformers in f32 would lose 2e-5 itself. The tokenizers are the
project's own, which know fewer tokens than the vocabulary has rows.
"""

import argparse
import json
import math
import shutil
import struct
from pathlib import Path

import numpy

HERE = Path(__file__).parent
TOKENIZERS = {
    "bge-m3": HERE.parent / "tokenizer/tiny-xlmr-bge.json",
    "jina-v2": HERE.parent / "tokenizer/tiny-xlmr-jina.json",
    "minilm-l12": HERE.parents[2] / "models/default/tokenizer.json",
}
XLMR = {"architectures": ["XLMRobertaForSequenceClassification"], "type_vocab_size": 1, "layer_norm_eps": 1e-5,
        "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "vocab_size": 250002}
SHAPES = {  # configuration, stored dtype, names
    "bge-m3": (XLMR | {"model_type": "xlm-roberta", "hidden_size": 1024, "num_hidden_layers": 24,
                       "num_attention_heads": 16, "intermediate_size": 4096, "max_position_embeddings": 8194},
               "f32", "roberta"),
    "jina-v2": (XLMR | {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                        "intermediate_size": 3072, "max_position_embeddings": 1026, "use_flash_attn": True,
                        "auto_map": {"AutoConfig": "configuration_xlm_roberta.XLMRobertaFlashConfig"}},
                "bf16", "flash"),
    "minilm-l12": ({"architectures": ["BertForSequenceClassification"], "model_type": "bert", "hidden_size": 384,
                    "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 1536,
                    "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
                    "pad_token_id": 0, "vocab_size": 30522}, "f32", "bert"),
}


def linear(name, outputs, inputs, scale=1.3):
    """(name, shape, standard deviation, mean) of a weight and its bias."""
    deviation = scale / math.sqrt(inputs)
    return [(f"{name}.weight", [outputs, inputs], deviation, 0.0), (f"{name}.bias", [outputs], 0.1, 0.0)]


def norm(name, width):
    return [(f"{name}.weight", [width], 0.2, 1.0), (f"{name}.bias", [width], 0.2, 0.0)]


def tensors(config, names):
    """Every tensor of the family's layout."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    flash, base = names == "flash", "bert" if names == "bert" else "roberta"
    tables = {"word": "vocab_size", "position": "max_position_embeddings", "token_type": "type_vocab_size"}
    for table, rows in tables.items():
        yield f"{base}.embeddings.{table}_embeddings.weight", [config[rows], hidden], 1.0, 0.0
    yield from norm(f"{base}.emb_ln" if flash else f"{base}.embeddings.LayerNorm", hidden)
    for index in range(config["num_hidden_layers"]):
        layer = f"{base}.encoder.layers.{index}" if flash else f"{base}.encoder.layer.{index}"
        attention = "mixer.out_proj" if flash else "attention.output.dense"
        first, second = ("mlp.fc1", "mlp.fc2") if flash else ("intermediate.dense", "output.dense")
        if flash:
            yield from linear(f"{layer}.mixer.Wqkv", 3 * hidden, hidden, 1.9)
        else:
            for part, scale in (("query", 1.9), ("key", 1.9), ("value", 1.3)):
                yield from linear(f"{layer}.attention.self.{part}", hidden, hidden, scale)
        yield from linear(f"{layer}.{attention}", hidden, hidden)
        yield from norm(f"{layer}.norm1" if flash else f"{layer}.attention.output.LayerNorm", hidden)
        yield from linear(f"{layer}.{first}", inner, hidden)
        yield from linear(f"{layer}.{second}", hidden, inner)
        yield from norm(f"{layer}.norm2" if flash else f"{layer}.output.LayerNorm", hidden)
    yield from linear("bert.pooler.dense" if names == "bert" else "classifier.dense", hidden, hidden)
    yield from linear("classifier" if names == "bert" else "classifier.out_proj", 1, hidden, 10.0)


def stored(values, dtype):
    if dtype == "bf16":  # to nearest, ties to even
        bits = values.view(numpy.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)
    return values.astype(numpy.float16) if dtype == "f16" else values


def write(path, listed, dtype, seed):
    header, end = {}, 0
    for name, shape, *_ in listed:
        start, end = end, end + math.prod(shape) * (4 if dtype == "f32" else 2)
        header[name] = {"dtype": dtype.upper(), "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    random = numpy.random.Generator(numpy.random.PCG64(seed))
    with path.open("wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for _, shape, deviation, mean in listed:
            left = math.prod(shape)
            while left:
                count = min(left, 1 << 22)
                values = random.standard_normal(count, dtype=numpy.float32) * numpy.float32(deviation)
                out.write(stored(values + numpy.float32(mean), dtype).tobytes())
                left -= count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dtype", choices=["f32", "f16", "bf16"])
    parser.add_argument("--vocab", type=int)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    config, dtype, names = SHAPES[arguments.shape]
    config |= {"hidden_act": "gelu", "id2label": {"0": "LABEL_0"}}
    config["vocab_size"] = arguments.vocab or config["vocab_size"]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    (arguments.folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    shutil.copy(TOKENIZERS[arguments.shape], arguments.folder / "tokenizer.json")
    weights = arguments.folder / "model.safetensors"
    write(weights, list(tensors(config, names)), arguments.dtype or dtype, arguments.seed)


if __name__ == "__main__":
    main()
