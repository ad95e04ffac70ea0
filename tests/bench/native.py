"""`crossrank` on the CPU beside ONNX Runtime, on the same weights and token ids, interleaved in one run.

    python tests/bench/native.py [--model FOLDER] [--program crossrank] [--workloads short,mixed,long,one]
        [--dtypes f32,q8] [--threads 1,2] [--rounds 5] [--out FILE.json]

FOLDER is a checkpoint: models/default, or one of tests/golden/model/make_full_size.py; quantized weights are
multiplied out for the peer. The peer is transformers' graph exported to ONNX and fused by ONNX Runtime's own
transformer optimizer; for q8 then quantized by its `quantize_dynamic`. It gets its pairs in one padded batch, and
sorted by length in batches of 8: the first ratio has the gains of kernels and batching, the second what is left of
kernels and of padding to the longest of 8.

Workloads: short is 50 pairs of about 60 tokens; mixed 50, lognormal around 200, at most 512; long 20 of 1,024, or
of as many as the model takes; one is one pair of 128. A round of either side is one request, token ids in and
logits out, with the model loaded and warm; `crossrank` tokenizes as well. Seconds are the best of the rounds, and
GFLOP those of the pairs as they are, 2·tokens·layers·(4·hidden² + 2·hidden·intermediate) + 4·tokens²·hidden·layers,
for both sides: what a side computes for padding is its loss, what it leaves out its gain.
Needs torch, transformers, onnx, onnxruntime.
"""

import argparse
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from safetensors.torch import save_file

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/golden/model"), str(ROOT / "tests/quality")]
import reference_logits  # noqa: E402
import torch_scores  # noqa: E402

WORDS = "the river runs through an old city where many people live and work in small shops near the bridge".split()
QUERY = "how many people live in the city"


def lengths(workload, most):
    draw = random.Random(7)
    mixed = [min(512, most, max(24, round(draw.lognormvariate(5.3, 0.6)))) for _ in range(50)]
    short = [draw.randint(45, 75) for _ in range(50)]
    return {"short": short, "mixed": mixed, "long": [min(1024, most)] * 20, "one": [128]}[workload]


def flops(config, tokens):
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    row = 4 * hidden * hidden + 2 * hidden * config["intermediate_size"]
    return 2 * tokens * layers * row + 4 * tokens * tokens * hidden * layers


class Ours:
    def __init__(self, arguments, threads, dtype):
        self.flags = [arguments.program, "bench", "--device", "cpu", "--model", str(arguments.model), "--dtype", dtype,
                      "--threads", str(threads), "--rounds", "1", "--logits", "--pairs"]

    def run(self, path):
        """(logits, seconds) of a request, the second one of a process"""
        printed = subprocess.run([*self.flags, str(path)], check=True, capture_output=True, text=True).stdout
        figures = json.loads(printed)
        return figures["logits"], figures["seconds"][0]


class Peer:
    def __init__(self, graph, threads, batch):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        self.wanted = {entry.name for entry in self.session.get_inputs()}
        self.batch = batch

    def logits(self, pairs):
        rows = {"input_ids": [pair["ids"] for pair in pairs],
                "attention_mask": [[1] * len(pair["ids"]) for pair in pairs],
                "token_type_ids": [pair.get("type_ids") or [0] * len(pair["ids"]) for pair in pairs]}
        width = max(map(len, rows["input_ids"]))
        given = {name: numpy.array([row + [0 if name != "input_ids" else 1] * (width - len(row)) for row in rows[name]],
                                   numpy.int64) for name in self.wanted}
        return self.session.run(["logits"], given)[0][:, 0]

    def run(self, ids):
        start = time.perf_counter()
        order = sorted(range(len(ids)), key=lambda index: -len(ids[index]["ids"]))
        size = self.batch or len(ids)
        logits = numpy.zeros(len(ids))
        for first in range(0, len(ids), size):
            some = order[first:first + size]
            logits[some] = self.logits([ids[index] for index in some])
        return logits.tolist(), time.perf_counter() - start


class Logits(torch.nn.Module):
    """The model with its inputs in order and one tensor as its output."""

    def __init__(self, model):
        super().__init__()
        self.model = model.requires_grad_(False)

    def forward(self, ids, mask, types):
        return self.model(input_ids=ids, attention_mask=mask, token_type_ids=types).logits


def multiplied_out(model, scratch):
    """`model`, or a copy in f32 if its tensors are quantized, which transformers cannot read."""
    with (model / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    if not any(name.endswith("_scale") for name in header):
        return model
    shutil.copy(model / "config.json", scratch)
    save_file(torch_scores.read_tensors(model / "model.safetensors"), scratch / "model.safetensors")
    return scratch


def export(folder, scratch):
    """The checkpoint as ONNX graphs, by dtype; the names of their inputs are transformers' own."""
    model = reference_logits.load(multiplied_out(folder, scratch), torch.float32)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    example = tuple(torch.ones(2, 16, dtype=torch.long) * value for value in (5, 1, 0))
    axes = {name: {0: "batch", 1: "sequence"} for name in names}
    graphs = {dtype: scratch / f"{dtype}.onnx" for dtype in ("plain", "f32", "q8")}
    torch.onnx.export(Logits(model), example, str(graphs["plain"]), input_names=names, output_names=["logits"],
                      dynamic_axes=axes, opset_version=17, dynamo=False)
    fused = optimizer.optimize_model(str(graphs["plain"]), model_type="bert", opt_level=0,
                                     num_heads=model.config.num_attention_heads, hidden_size=model.config.hidden_size)
    fused.save_model_to_file(str(graphs["f32"]))
    # The types of what its own fused operations give are not known to it.
    quantize_dynamic(graphs["f32"], graphs["q8"], weight_type=QuantType.QInt8,
                     extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})
    return graphs


def write_pairs(path, tokens):
    """Pairs of so many tokens: words are longer than one, the rest is cut off."""
    with path.open("w") as out:
        for number, count in enumerate(tokens):
            document = " ".join(WORDS[(number + index) % len(WORDS)] for index in range(count))
            print(json.dumps([QUERY, document]), file=out)


def token_ids(arguments, path):
    flags = ["tokenize", "--pairs", str(path), "--model", str(arguments.model)]
    printed = subprocess.run([arguments.program, *flags], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in printed.splitlines()]


def processor_name():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def compare(arguments, config, graphs, path, dtype, threads):
    """Rows of the table: our best seconds beside each peer's."""
    ids = token_ids(arguments, path)
    ours = Ours(arguments, threads, dtype)
    peers = {"one padded batch": Peer(graphs[dtype], threads, None), "sorted, batches of 8": Peer(graphs[dtype], threads, 8)}
    best, apart = {}, 0.0
    for _ in range(arguments.rounds):
        logits, seconds = ours.run(path)
        best["crossrank"] = min(seconds, best.get("crossrank", seconds))
        for name, peer in peers.items():
            theirs, seconds = peer.run(ids)
            best[name] = min(seconds, best.get(name, seconds))
            apart = max(apart, *(abs(a - b) / max(1, abs(b)) for a, b in zip(logits, theirs, strict=True)))
    work = sum(flops(config, len(pair["ids"])) for pair in ids) / 1e9
    return [{"engine": name, "seconds": seconds, "gflop_per_s": work / seconds, "ratio": seconds / best["crossrank"],
             "tokens": sum(len(pair["ids"]) for pair in ids), "apart": apart} for name, seconds in best.items()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "models/default")
    parser.add_argument("--program", default="crossrank")
    for name, default in (("workloads", "short,mixed,long,one"), ("dtypes", "f32,q8"), ("threads", "1,2")):
        parser.add_argument(f"--{name}", default=default, help="several with commas between them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    config = json.loads((arguments.model / "config.json").read_text())
    most = config["max_position_embeddings"] - (2 if "Roberta" in config["architectures"][0] else 0)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    machine = {"processor": processor_name(), "cores": os.cpu_count(), "onnxruntime": onnxruntime.__version__, "commit": commit}
    print(f"{machine['processor']}, {machine['cores']} cores; ONNX Runtime {machine['onnxruntime']}; commit {commit}; {arguments.model.name}\n")
    print("| workload | dtype | threads | engine | s | GFLOP/s | peer/ours |\n|---|---|---|---|---|---|---|")
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        graphs = export(arguments.model, Path(scratch))
        for workload in arguments.workloads.split(","):
            path = Path(scratch) / f"{workload}.jsonl"
            write_pairs(path, lengths(workload, most))
            for dtype in arguments.dtypes.split(","):
                for threads in map(int, arguments.threads.split(",")):
                    for row in compare(arguments, config, graphs, path, dtype, threads):
                        results.append({"workload": workload, "dtype": dtype, "threads": threads, **row})
                        print(f"| {workload} | {dtype} | {threads} | {row['engine']} | {row['seconds']:.3f} | "
                              f"{row['gflop_per_s']:.0f} | {row['ratio']:.2f} |", flush=True)
    for dtype in arguments.dtypes.split(","):
        print(f"\n{dtype}: logits at most {max(row['apart'] for row in results if row['dtype'] == dtype):.1e} apart")
    if arguments.out:
        arguments.out.write_text(json.dumps({"machine": machine, "results": results}, indent=1))


if __name__ == "__main__":
    main()
