"""`crossrank` on the CPU beside ONNX Runtime, on the same weights and token ids, interleaved in one run.

    python tests/bench/cpu_peer.py --model FOLDER --program crossrank [--tokens 256] [--pairs 16] [--rounds 5]

FOLDER is a checkpoint in f32, f16 or bf16: one of tests/golden/model/make_full_size.py, or the default model made
by `models/make_default.py --quantize none`. The peer is transformers' graph exported to ONNX, fused by ONNX
Runtime's own optimizer, run in batches of 8 pairs of equal length, so that neither side pads.

A round of ours is the difference between two runs of `crossrank score`, on 1 + PAIRS pairs and on one, so that
loading and tokenizing a first pair cancel. GFLOP are those of the whole encoder, 2·tokens·layers·(4·hidden² +
2·hidden·intermediate) + 4·tokens²·hidden·layers, for both sides, though ours leaves most of the last layer out.
Seconds of processor time are user and system time of all threads. Medians over the rounds.
Needs torch, transformers, onnx, onnxruntime.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
import onnxruntime
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "golden/model"))
import reference_logits  # noqa: E402

BATCH = 8
TEXT = "the river runs through an old city where many people live and work in small shops near the bridge "


def flops(config, tokens):
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    row = 4 * hidden * hidden + 2 * hidden * config["intermediate_size"]
    return 2 * tokens * layers * row + 4 * tokens * tokens * hidden * layers


def write_pairs(path, count):
    """Pairs of different texts, each longer than what is kept of it."""
    words = TEXT.split()
    for_line = lambda n: " ".join(words[n % len(words):] + words * 80)
    path.write_text("".join(json.dumps(["how many people live in the city", for_line(n)]) + "\n" for n in range(count)))
    return path


class Logits(torch.nn.Module):
    """The model with its inputs in order and one tensor as its output."""

    def __init__(self, model):
        super().__init__()
        self.model = model.requires_grad_(False)

    def forward(self, ids, mask, types):
        return self.model(input_ids=ids, attention_mask=mask, token_type_ids=types).logits


def export(folder, path):
    """The checkpoint as a fused ONNX graph; the file's names of inputs are transformers' own."""
    model = reference_logits.load(folder, torch.float32)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    example = tuple(torch.ones(2, 16, dtype=torch.long) * value for value in (5, 1, 0))
    axes = {name: {0: "batch", 1: "sequence"} for name in names}

    torch.onnx.export(Logits(model), example, str(path), input_names=names, output_names=["logits"], dynamic_axes=axes,
                      opset_version=17, dynamo=False)
    from onnxruntime.transformers import optimizer
    fused = optimizer.optimize_model(str(path), model_type="bert", num_heads=model.config.num_attention_heads,
                                     hidden_size=model.config.hidden_size, opt_level=0)
    fused.save_model_to_file(str(path))
    print("fused:", {name: count for name, count in fused.get_fused_operator_statistics().items() if count})


def timed(work):
    """(result, wall seconds, processor seconds of this process and its children)"""
    def processor():
        return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    wall, cpu = time.perf_counter(), processor()
    result = work()
    return result, time.perf_counter() - wall, processor() - cpu


class Ours:
    def __init__(self, program, model, tokens, threads, folder, pairs):
        self.flags = [program, "score", "--device", "cpu", "--model", str(model), "--max-length", str(tokens),
                      "--threads", str(threads), "--pairs"]
        self.files = [write_pairs(folder / f"{count}.jsonl", count) for count in (1, 1 + pairs)]

    def run(self):
        (_, *one), (lines, *all_pairs) = (timed(lambda path=path: subprocess.run(
            [*self.flags, str(path)], check=True, capture_output=True, text=True).stdout) for path in self.files)
        logits = [json.loads(line)["logit"] for line in lines.splitlines()]
        return logits, all_pairs[0] - one[0], all_pairs[1] - one[1]


class Peer:
    def __init__(self, path, ids, threads):
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
        rest, wall, cpu = timed(lambda: [logit for start in range(1, len(self.ids), BATCH)
                                         for logit in self.batch(self.ids[start:start + BATCH])])
        return first + rest, wall, cpu


def compare(ours, peer, arguments, work):
    """The table's lines of one number of threads, and how far the logits lie apart."""
    rounds = [(ours.run(), peer.run()) for _ in range(arguments.rounds + 1)][1:]
    apart = max(abs(a - b) / max(1, abs(b)) for ours_run, peer_run in rounds for a, b in zip(ours_run[0], peer_run[0]))
    rates = [[(arguments.pairs / wall, work * arguments.pairs / cpu / 1e9) for _, wall, cpu in side] for side in zip(*rounds)]
    ratio = statistics.median(a[1] / b[1] for a, b in zip(*rates))
    medians = [[statistics.median(column) for column in zip(*side)] for side in rates]
    return [f"{pairs:.2f} | {rate:.0f}" for pairs, rate in medians], ratio, apart


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--program", default="crossrank")
    for name, default in (("tokens", 256), ("pairs", 16), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    work = flops(json.loads((arguments.model / "config.json").read_text()), arguments.tokens)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        pairs = write_pairs(folder / "pairs.jsonl", 1 + arguments.pairs)
        flags = ["tokenize", "--pairs", str(pairs), "--model", str(arguments.model), "--max-length", str(arguments.tokens)]
        printed = subprocess.run([arguments.program, *flags], check=True, capture_output=True, text=True).stdout
        ids = [json.loads(line) for line in printed.splitlines()]
        assert all(len(line["ids"]) == arguments.tokens for line in ids), "every pair has the same length"
        export(arguments.model, folder / "model.onnx")
        print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; ONNX Runtime "
              f"{onnxruntime.__version__}; {arguments.pairs} pairs of {arguments.tokens} tokens, {work / 1e9:.1f} GFLOP each\n")
        print("| threads | engine | pairs/s | GFLOP per processor second | ours/peer |\n|---|---|---|---|---|")
        for threads in (1, 2):
            ours = Ours(arguments.program, arguments.model, arguments.tokens, threads, folder, arguments.pairs)
            (mine, theirs), ratio, apart = compare(ours, Peer(folder / "model.onnx", ids, threads), arguments, work)
            print(f"| {threads} | crossrank | {mine} | {ratio:.2f} |\n| {threads} | ONNX Runtime | {theirs} | |")
        print(f"\nlargest relative difference of logits {apart:.1e}")


if __name__ == "__main__":
    main()
