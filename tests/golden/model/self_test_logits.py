"""The logits of the model in crates/model/src/self_test.rs, by Hugging Face transformers in float64.

    python tests/golden/model/self_test_logits.py
"""

import numpy
import torch
from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

config = XLMRobertaConfig(
    hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=256, vocab_size=97,
    max_position_embeddings=66, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1, num_labels=1,
)
model = XLMRobertaForSequenceClassification(config).double().eval()
state = 1


def draw(shape, scale, middle):
    global state
    values = numpy.empty(int(numpy.prod(shape)), dtype=numpy.float32)
    for index in range(values.size):
        state = (state * 1664525 + 1013904223) % 2**32
        values[index] = numpy.float32(middle) + numpy.float32(scale) * numpy.float32((state >> 8) / 2**24 - 0.5)
    return torch.from_numpy(values.reshape(shape)).double()


def names():
    for table in ["word", "position", "token_type"]:
        yield f"roberta.embeddings.{table}_embeddings.weight"
    blocks = ["roberta.embeddings.LayerNorm"]
    for layer in range(config.num_hidden_layers):
        parts = ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
                 "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm"]
        blocks += [f"roberta.encoder.layer.{layer}.{part}" for part in parts]
    for block in blocks + ["classifier.dense", "classifier.out_proj"]:
        yield f"{block}.weight"
        yield f"{block}.bias"


weights = model.state_dict()
for name in names():
    vector = weights[name].dim() == 1
    scale, middle = (
        (0.5, 1.0) if vector and name.endswith("orm.weight") else (0.2, 0.0) if vector
        else (1.0, 0.0) if "_embeddings." in name else (0.4, 0.0)
    )
    weights[name] = draw(tuple(weights[name].shape), scale, middle)
model.load_state_dict(weights)
with torch.no_grad():
    for pair, length in enumerate([40, 7, 40]):
        ids = torch.tensor([[3 + (token * 31 + pair * 7) % 90 for token in range(length)]])
        print(model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.item())
