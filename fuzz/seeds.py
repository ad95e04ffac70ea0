"""Starting points for the fuzz targets, in corpus/: python3 fuzz/seeds.py"""

import json
import pathlib
import shutil
import struct

HERE = pathlib.Path(__file__).parent
GOLDEN = HERE.parent / "tests/golden"

DOCUMENTS = {
    "lines": "plain text\nanother line\r\n\n\ufefflast",
    "jsonl": '"a string"\n{"_id": 7, "title": "t", "specs": {"a": [1, {"b": null}], "c": 1e-9}}\n',
    "array": '["text", {"title": "true", "text": "- no\\n: yes"}, {}]',
    "footnote": "[1] A footnote, not an array",
    "fields": '{"text": "only text"}\n{"title": null, "text": "\\u0000\\ud83d\\ude00"}',
}


def bodies():
    for number, line in enumerate((HERE.parent / "native-runner/tests/bodies.jsonl").read_text().splitlines()):
        yield str(number), json.dumps(json.loads(line)["body"], ensure_ascii=False).encode()


def safetensors(tensors, metadata=None):
    """A file of {name: (dtype, shape, bytes)}."""
    header, data = {} if metadata is None else {"__metadata__": metadata}, b""
    for name, (dtype, shape, values) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def gguf(tensors, metadata):
    """A file of {name: (ggml's type, shape, bytes)}; metadata are u32, f32, texts, and lists of texts."""
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    for key, value in metadata.items():
        header += text(key)
        if isinstance(value, list):
            header += struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
        elif isinstance(value, str):
            header += struct.pack("<I", 8) + text(value)
        else:
            header += struct.pack("<I" + ("f" if isinstance(value, float) else "I"), 6 if isinstance(value, float) else 4, value)
    data = b""
    for name, (kind, shape, values) in tensors.items():
        header += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape))
        header += struct.pack("<IQ", kind, len(data))
        data += values + bytes(-len(values) % 32)
    return header + bytes(-len(header) % 32) + data


def checkpoints():
    blocks = {"token_embd.weight": (8, [2, 32], bytes([0, 60]) + bytes(range(32)) + bytes([0, 61]) + bytes(32)),
              "blk.0.attn_q.weight": (2, [1, 32], bytes([0, 60]) + bytes(range(16))),
              "blk.0.ffn_up.weight": (14, [1, 256], bytes(208) + bytes([0, 60])),
              "token_types.weight": (0, [2], struct.pack("<2f", 0.5, 1))}
    yield "gguf", gguf(blocks, {"general.architecture": "bert", "bert.block_count": 1, "eps": 1e-5, "tokens": ["a", "b"]})
    floats = struct.pack("<6f", *(0.5 * n for n in range(6)))
    yield "f32", safetensors({"a": ("F32", [2, 3], floats), "b": ("F32", [2], floats[:8])})
    yield "halves", safetensors({"a": ("F16", [2, 2], floats[:8]), "b": ("BF16", [4], floats[8:16])})
    q8 = {"a.weight": ("I8", [2, 3], bytes([1, 2, 255, 0, 5, 6])), "a.weight_scale": ("F32", [2], floats[4:12])}
    yield "q8", safetensors(q8, {"crossrank_format": "1"})
    q4 = {"a.weight": ("U8", [2, 16], bytes(range(32))), "a.weight_scale": ("F16", [2, 1], floats[4:8])}
    yield "q4", safetensors(q4, {"crossrank_format": "1"})


def tokenizers():
    """Small enough to mutate: a few pieces, without the 300 kB table of the precompiled normalizer."""
    for path in [*GOLDEN.glob("tokenizer/tiny-*.json"), HERE.parent / "models/default/tokenizer.json"]:
        tokenizer = json.loads(path.read_text(encoding="utf-8"))
        vocabulary = tokenizer["model"]["vocab"]
        keep = 110 if isinstance(vocabulary, dict) else 40
        first = list(vocabulary.items() if isinstance(vocabulary, dict) else vocabulary)[:keep]
        tokenizer["model"]["vocab"] = dict(first) if isinstance(vocabulary, dict) else first
        tokenizer["added_tokens"] = [token for token in tokenizer["added_tokens"] if token["id"] < keep]
        normalizer = tokenizer.get("normalizer") or {}
        if normalizer.get("type") == "Sequence":
            normalizer["normalizers"] = [n for n in normalizer["normalizers"] if n["type"] != "Precompiled"]
        elif normalizer.get("type") == "Precompiled":
            tokenizer["normalizer"] = None
        yield f"{path.parent.name}-{path.stem}", json.dumps(tokenizer, ensure_ascii=False).encode()


def main():
    shutil.rmtree(HERE / "corpus", ignore_errors=True)
    seeds = {
        "body": dict(bodies()),
        "checkpoint": dict(checkpoints()),
        "documents": {name: text.encode() for name, text in DOCUMENTS.items()},
        "config": {path.parent.name: path.read_bytes() for path in GOLDEN.glob("model/*/config.json")},
        "tokenizer": dict(tokenizers()),
    }
    for target, files in seeds.items():
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)


main()
