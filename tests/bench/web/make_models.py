"""The models of the web benchmark: for us a checkpoint, for the peer an ONNX graph of the same f32 weights.

    python make_models.py {default,jina,small-2,small-4,jina-full,bge-full,jina-gguf,bge-gguf} FOLDER

FOLDER/ours gets config.json, tokenizer.json and model.safetensors, FOLDER/peer what transformers.js reads.
`default` is models/default with its quantized weights multiplied out; the others are random. The full-size
ones are for ours alone; those in GGUF hold the same weights in Q8_0. Needs numpy, onnx, onnxruntime and gguf.
"""

import argparse
import json
import shutil
import struct
import sys
from pathlib import Path

import numpy

TESTS = Path(__file__).parents[2]
sys.path.insert(0, str(TESTS / "golden/model"))
import make_full_size  # noqa: E402

DTYPES = {"F32": numpy.float32, "BF16": numpy.uint16, "I8": numpy.int8, "U8": numpy.uint8}
RANDOM = {  # shape, stored dtype, changes to the configuration
    "jina": ("jina-v2", "f32", {"vocab_size": 4000}),
    "small-2": ("minilm-l12", "f32", {"num_hidden_layers": 2}),
    "small-4": ("minilm-l12", "f32", {"num_hidden_layers": 4}),
    "jina-full": ("jina-v2", "bf16", {}),
    "bge-full": ("bge-m3", "f32", {}),
}
GGUF = {"jina-gguf": "jina-full", "bge-gguf": "bge-full"}
FULL_SIZE = ("jina-full", "bge-full", *GGUF)


def read(path):
    """A checkpoint's tensors by name, in f32, quantized ones multiplied out."""
    data = numpy.memmap(path, numpy.uint8, "r")
    start = 8 + struct.unpack("<Q", data[:8].tobytes())[0]
    header = json.loads(data[8:start].tobytes())
    header.pop("__metadata__", None)
    stored = {}
    for name, entry in header.items():
        begin, end = (start + offset for offset in entry["data_offsets"])
        values = numpy.frombuffer(data[begin:end].tobytes(), DTYPES[entry["dtype"]]).reshape(entry["shape"])
        is_half = entry["dtype"] == "BF16"
        stored[name] = (values.astype(numpy.uint32) << 16).view(numpy.float32) if is_half else values
    scales = {name: stored.pop(f"{name}_scale") for name in list(stored) if f"{name}_scale" in stored}
    for name, scale in scales.items():
        assert stored[name].dtype == numpy.int8, f"{name}: only q8 is multiplied out"
        stored[name] = stored[name].astype(numpy.float32) * scale[:, None]
    return stored


def write(path, tensors):
    """A checkpoint of f32 tensors."""
    header, end = {}, 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.nbytes
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            out.write(tensor.tobytes())


def make_default(folder):
    source = TESTS.parent / "models/default"
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(source / name, folder)
    write(folder / "model.safetensors", read(source / "model.safetensors"))


def make_random(name, folder):
    shape, dtype, changes = RANDOM[name]
    config, _, names = make_full_size.SHAPES[shape]
    config = config | {"hidden_act": "gelu", "id2label": {"0": "LABEL_0"}} | changes
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    shutil.copy(make_full_size.TOKENIZERS[shape], folder / "tokenizer.json")
    make_full_size.write(folder / "model.safetensors", list(make_full_size.tensors(config, names)), dtype, 1)


def make_gguf(name, folder):
    sys.path.insert(0, str(TESTS / "golden/gguf"))
    import layout  # not before it is needed: the others do without gguf

    make_random(GGUF[name], folder)
    config = json.loads((folder / "config.json").read_text())
    pieces = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    # As many pieces as the real vocabulary has; no text holds those that are added.
    added = [[f"\u2581\ue000{number}", -20.0] for number in range(config["vocab_size"] - len(pieces))]
    pieces = [*pieces[:-1], *added, pieces[-1]]
    writer = layout.open_writer(folder / "model.gguf", name, config)
    layout.add_vocabulary(writer, config, pieces, layout.kinds_of(len(pieces)))
    for tensor, value in read(folder / "model.safetensors").items():
        layout.add_tensor(writer, config, tensor, value, layout.Type.Q8_0, layout.Type.Q8_0)
    layout.finish(writer)
    (folder / "model.safetensors").unlink()


def make_peer(ours, folder):
    """What transformers.js reads: its tokenizer class and model type must be named."""
    # Not before they are needed: the full-size models do without.
    import onnx_graph
    from onnxruntime.quantization import QuantType, quantize_dynamic

    config = json.loads((ours / "config.json").read_text())
    bert = config.get("model_type") == "bert"
    config["model_type"] = "bert" if bert else "xlm-roberta"
    config.pop("auto_map", None)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    shutil.copy(ours / "tokenizer.json", folder)
    kind = "BertTokenizer" if bert else "XLMRobertaTokenizer"
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"} if bert else {
        "pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>"}
    settings = {"tokenizer_class": kind, "model_max_length": 512 if bert else 1024} | special
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n")
    (folder / "onnx").mkdir(exist_ok=True)
    graph = folder / "onnx/model.onnx"
    onnx_graph.write(graph, config, read(ours / "model.safetensors"))
    # What transformers.js takes by default, with the settings of the script that it is made with.
    quantize_dynamic(graph, folder / "onnx/model_quantized.onnx", weight_type=QuantType.QInt8,
                     extra_options={"EnableSubgraph": True, "MatMulConstBOnly": True})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=["default", *RANDOM, *GGUF])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    ours, peer = arguments.folder / "ours", arguments.folder / "peer"
    ours.mkdir(parents=True, exist_ok=True)
    if arguments.name == "default":
        make_default(ours)
    elif arguments.name in GGUF:
        make_gguf(arguments.name, ours)
    else:
        make_random(arguments.name, ours)
    if arguments.name not in FULL_SIZE:
        peer.mkdir(exist_ok=True)
        make_peer(ours, peer)


if __name__ == "__main__":
    main()
