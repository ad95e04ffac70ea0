"""`crossrank` on the CPU beside ONNX Runtime, on the same weights and token ids, interleaved in one run.

    python tests/bench/cpu_peer.py --model FOLDER --program crossrank
        [--tokens 256] [--pairs 32] [--threads 1,2] [--rounds 5]

FOLDER is a checkpoint: one of tests/golden/model/make_full_size.py, or models/default; quantized weights are
multiplied out for the peer. The peer is transformers' graph exported to ONNX in f32, as it is and fused by ONNX
Runtime's transformer optimizer, run in batches of 8 pairs of equal length, so that neither side pads.

A round of ours is the difference between two runs of `crossrank score`, on 1 + PAIRS pairs and on one, so that
loading and tokenizing a first pair cancel. GFLOP are those of the whole encoder, 2·tokens·layers·(4·hidden² +
2·hidden·intermediate) + 4·tokens²·hidden·layers, for both sides, though ours leaves most of the last layer out.
Seconds of processor time are user and system time of all threads. Medians over the rounds.
Needs torch, transformers, onnx, onnxruntime.
"""

import argparse
import itertools
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
import onnxruntime
import torch
from onnxruntime.transformers import optimizer
from safetensors.torch import save_file

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "golden/model"), str(TESTS / "quality")]
import reference_logits  # noqa: E402
import torch_scores  # noqa: E402

BATCH = 8
TEXT = "the river runs through an old city where many people live and work in small shops near the bridge "


def flops(config, tokens):
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    row = 4 * hidden * hidden + 2 * hidden * config["intermediate_size"]
    return 2 * tokens * layers * row + 4 * tokens * tokens * hidden * layers


def write_pairs(path, count):
    """Pairs of different texts, each longer than what is kept of it."""
    words = TEXT.split()
    documents = (" ".join(words[n % len(words):] + words * 80) for n in range(count))
    lines = (json.dumps(["how many people live in the city", document]) + "\n" for document in documents)
    path.write_text("".join(lines))
    return path


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


def export(folder, plain, fused):
    """The checkpoint as two ONNX graphs; the names of their inputs are transformers' own."""
    model = reference_logits.load(folder, torch.float32)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    example = tuple(torch.ones(2, 16, dtype=torch.long) * value for value in (5, 1, 0))
    axes = {name: {0: "batch", 1: "sequence"} for name in names}
    torch.onnx.export(Logits(model), example, str(plain), input_names=names, output_names=["logits"],
                      dynamic_axes=axes, opset_version=17, dynamo=False)
    graph = optimizer.optimize_model(str(plain), model_type="bert", num_heads=model.config.num_attention_heads,
                                     hidden_size=model.config.hidden_size, opt_level=0)
    graph.save_model_to_file(str(fused))
    print("fused:", {name: count for name, count in graph.get_fused_operator_statistics().items() if count})


class Ours:
    name = "crossrank"

    def __init__(self, program, model, tokens, threads, folder, pairs):
        self.flags = [program, "score", "--device", "cpu", "--model", str(model), "--max-length", str(tokens),
                      "--threads", str(threads), "--format", "jsonl", "--pairs"]
        self.files = [write_pairs(folder / f"{count}.jsonl", count) for count in (1, 1 + pairs)]

    def process(self, path):
        """(what it printed, wall seconds, processor seconds) of one run of the program"""
        start = time.perf_counter()
        child = subprocess.Popen([*self.flags, str(path)], text=True, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL)
        printed = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0, child.args
        return printed, time.perf_counter() - start, usage.ru_utime + usage.ru_stime

    def run(self):
        (_, *one), (printed, *every) = (self.process(path) for path in self.files)
        logits = [json.loads(line)["logit"] for line in printed.splitlines()]
        return logits, every[0] - one[0], every[1] - one[1]


class Peer:
    def __init__(self, name, path, ids, threads):
        self.name = name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.wanted = {entry.name for entry in self.session.get_inputs()}
        self.ids = ids

    def batch(self, lines):
        inputs = {"input_ids": [line["ids"] for line in lines],
                  "attention_mask": [[1] * len(line["ids"]) for line in lines],
                  "token_type_ids": [line.get("type_ids") or [0] * len(line["ids"]) for line in lines]}
        given = {name: numpy.array(value, numpy.int64) for name, value in inputs.items() if name in self.wanted}
        return self.session.run(["logits"], given)[0][:, 0].tolist()

    def run(self):
        first = self.batch(self.ids[:1])
        wall, cpu = time.perf_counter(), time.process_time()
        rest = [self.batch(self.ids[start:start + BATCH]) for start in range(1, len(self.ids), BATCH)]
        return first + sum(rest, []), time.perf_counter() - wall, time.process_time() - cpu


def compare(engines, pairs, rounds, work):
    """Each engine's pairs/s, GFLOP per processor second and our ratio to it; how far the logits lie apart."""
    taken = [[engine.run() for engine in engines] for _ in range(rounds + 1)][1:]  # the first warms up
    rates = [[(pairs / wall, work * pairs / cpu / 1e9) for _, wall, cpu in each] for each in taken]
    table = []
    for column in range(len(engines)):
        speed, rate = (statistics.median(each[column][kind] for each in rates) for kind in (0, 1))
        table.append((speed, rate, statistics.median(each[0][1] / each[column][1] for each in rates)))
    both = (zip(each[0][0], other[0], strict=True) for each in taken for other in each[1:])
    return table, max(abs(a - b) / max(1, abs(b)) for a, b in itertools.chain.from_iterable(both))


def token_ids(program, model, path, tokens):
    flags = ["tokenize", "--pairs", str(path), "--model", str(model), "--max-length", str(tokens)]
    printed = subprocess.run([program, *flags], check=True, capture_output=True, text=True).stdout
    ids = [json.loads(line) for line in printed.splitlines()]
    assert all(len(line["ids"]) == tokens for line in ids), "every pair has the same length"
    return ids


def processor_name():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def measure(arguments, folder):
    config = json.loads((arguments.model / "config.json").read_text())
    work = flops(config, arguments.tokens)
    path = write_pairs(folder / "pairs.jsonl", 1 + arguments.pairs)
    ids = token_ids(arguments.program, arguments.model, path, arguments.tokens)
    graphs = {"ONNX Runtime": folder / "plain.onnx", "ONNX Runtime, fused": folder / "fused.onnx"}
    export(multiplied_out(arguments.model, folder), *graphs.values())
    print(f"{processor_name()}, {os.cpu_count()} cores; ONNX Runtime {onnxruntime.__version__}; {arguments.pairs} "
          f"pairs of {arguments.tokens} tokens, {work / 1e9:.1f} GFLOP each\n")
    print("| threads | engine | pairs/s | GFLOP per processor second | ours/peer |\n|---|---|---|---|---|")
    furthest = 0.0
    for threads in map(int, arguments.threads.split(",")):
        ours = Ours(arguments.program, arguments.model, arguments.tokens, threads, folder, arguments.pairs)
        engines = [ours, *(Peer(name, graph, ids, threads) for name, graph in graphs.items())]
        table, apart = compare(engines, arguments.pairs, arguments.rounds, work)
        furthest = max(furthest, apart)
        for engine, (speed, rate, ratio) in zip(engines, table):
            print(f"| {threads} | {engine.name} | {speed:.2f} | {rate:.0f} | {ratio:.2f} |", flush=True)
    print(f"\nlargest relative difference of logits {furthest:.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--program", default="crossrank")
    parser.add_argument("--threads", default="1,2", help="numbers of threads, with commas between them")
    for name, default in (("tokens", 256), ("pairs", 32), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(arguments, Path(folder))


if __name__ == "__main__":
    main()
