#!/usr/bin/env python3
"""Scores pairs with Hugging Face transformers in f32, in the output format of `crossrank score --format jsonl`.

    python tests/quality/torch_scores.py CHECKPOINT PAIRS.jsonl OUT.jsonl

CHECKPOINT is a BERT folder, plain or in the quantized format of docs/checkpoint-format.md (multiplied out
to f32 first), or a file model.onnx with tokenizer.json beside it, which ONNX Runtime then runs. Needs
torch, transformers, tokenizers and safetensors; onnxruntime for the last.
"""

import argparse
import json
import math
import pathlib

import numpy as np
import torch
from safetensors.numpy import load_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertForSequenceClassification

MAX_TOKENS = 512
BATCH_TOKENS = 4096


def read_tensors(path):
    """The tensors of a checkpoint by name, quantized ones multiplied out."""
    stored = load_file(path)
    scales = {name: stored.pop(f"{name}_scale") for name in list(stored) if f"{name}_scale" in stored}
    return {name: torch.from_numpy(multiply_out(array, scales.get(name))) for name, array in stored.items()}


def multiply_out(array, scale):
    if array.dtype == np.int8:
        return array.astype(np.float32) * scale[:, None]
    if array.dtype == np.uint8:
        nibbles = np.stack([array & 15, array >> 4], axis=-1).reshape(len(array), -1, 32)
        values = (nibbles.astype(np.float32) - 8) * scale.astype(np.float32)[..., None]
        return values.reshape(len(array), -1)
    return array


def torch_model(folder):
    """A function from token ids, token types and mask, each [batch, length], to logits [batch]."""
    config = BertConfig.from_pretrained(folder, num_labels=1)
    model = BertForSequenceClassification(config).eval()
    model.load_state_dict(read_tensors(folder / "model.safetensors"), strict=True)

    @torch.inference_mode()
    def score(ids, types, mask):
        arguments = {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}
        return model(**{name: torch.from_numpy(array) for name, array in arguments.items()}).logits[:, 0].numpy()

    return score


def onnx_model(path):
    """As `torch_model`. One pair at a time: a batch shares the scale to which its activations are quantized."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def score(ids, types, mask):
        logits = []
        for row in range(len(ids)):
            cut = slice(row, row + 1), slice(0, mask[row].sum())
            inputs = {"input_ids": ids[cut], "token_type_ids": types[cut], "attention_mask": mask[cut]}
            logits.append(session.run(["logits"], inputs)[0][0, 0])
        return np.array(logits)

    return score


def batches(encodings):
    """Indices of pairs of like length, longest first, at most BATCH_TOKENS padded tokens in each."""
    order = sorted(range(len(encodings)), key=lambda index: -len(encodings[index].ids))
    while order:
        count = max(1, BATCH_TOKENS // len(encodings[order[0]].ids))
        yield order[:count]
        order = order[count:]


def padded(rows):
    width = max(map(len, rows))
    return np.array([row + [0] * (width - len(row)) for row in rows], dtype=np.int64)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("checkpoint", "pairs", "out"):
        parser.add_argument(name, type=pathlib.Path)
    arguments = parser.parse_args()
    is_onnx = arguments.checkpoint.suffix == ".onnx"
    folder = arguments.checkpoint.parent if is_onnx else arguments.checkpoint
    score = onnx_model(arguments.checkpoint) if is_onnx else torch_model(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS, strategy="longest_first")
    pairs = [json.loads(line) for line in arguments.pairs.open(encoding="utf-8")]
    encodings = tokenizer.encode_batch([(pair["query"], pair["document"]) for pair in pairs])

    logits = np.zeros(len(pairs))
    for batch in batches(encodings):
        rows = [encodings[index] for index in batch]
        ids, types, mask = (padded([getattr(row, field) for row in rows]) for field in ("ids", "type_ids", "attention_mask"))
        logits[batch] = score(ids, types, mask)
    with arguments.out.open("w", encoding="utf-8") as out:
        for index, (logit, encoding) in enumerate(zip(logits.tolist(), encodings)):
            line = {"index": index, "score": 1 / (1 + math.exp(-logit)), "logit": logit, "tokens": len(encoding.ids)}
            print(json.dumps(line), file=out)


if __name__ == "__main__":
    main()
