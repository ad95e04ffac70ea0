"""The mean of the last hidden states, brought to length 1, as sentence-transformers has it, in f64: embeddings.json
beside golden.json, one vector for each of its inputs.

    python make_embeddings.py

Needs torch and transformers.
"""

import json
from pathlib import Path

import torch
from transformers import AutoModel

HERE = Path(__file__).parent


def vector(model, given):
    ids, types = torch.tensor([given["ids"]]), torch.tensor([given["type_ids"]])
    mean = model(input_ids=ids, token_type_ids=types).last_hidden_state[0].mean(0)
    return (mean / mean.norm()).tolist()


def main():
    for name in ("bert", "xlmr"):
        model = AutoModel.from_pretrained(HERE / name, attn_implementation="eager").double().eval()
        inputs = json.loads((HERE / name / "golden.json").read_text())["pairs"][:8]
        with torch.no_grad():
            vectors = [[round(value, 9) for value in vector(model, given)] for given in inputs]
        (HERE / name / "embeddings.json").write_text(json.dumps(vectors) + "\n")


if __name__ == "__main__":
    main()
