"""GGUF files as llama.cpp's converter lays them out, and the logits that transformers gives their weights in float64.

    python make_golden.py            # rewrites the files beside this one

The weights are those of ../model, the vocabulary is ../tokenizer's. Quantising and multiplying out are the `gguf`
package's. Names, squeezed dimensions, the position rows left out and the kinds of tokens follow llama.cpp's
conversion/bert.py. Needs gguf, torch, transformers and safetensors.
"""

import base64
import json
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from safetensors.torch import load_file
from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "model"))
from reference_logits import to_transformers  # noqa: E402

# llama.cpp's name, Hugging Face's, the flash layout's.
NAMES = (("token_embd_norm", "embeddings.LayerNorm", "emb_ln"), ("token_embd", "embeddings.word_embeddings", None),
         ("position_embd", "embeddings.position_embeddings", None),
         ("token_types", "embeddings.token_type_embeddings", None), ("cls.output", "classifier.out_proj", None),
         ("cls", "classifier.dense", None))
LAYER = (("attn_q", "attention.self.query", None), ("attn_k", "attention.self.key", None),
         ("attn_v", "attention.self.value", None), ("attn_qkv", None, "mixer.Wqkv"),
         ("attn_output_norm", "attention.output.LayerNorm", "norm1"),
         ("attn_output", "attention.output.dense", "mixer.out_proj"),
         ("ffn_up", "intermediate.dense", "mlp.fc1"), ("ffn_down", "output.dense", "mlp.fc2"),
         ("layer_output_norm", "output.LayerNorm", "norm2"))
FIXTURES = (("xlmr-f16", "xlmr-f16", Type.F16, Type.F16, "sentencepiece"), ("xlmr-q8_0", "xlmr", Type.Q8_0, Type.Q8_0, None),
            ("xlmr-flash-q4_0", "xlmr-flash", Type.Q4_0, Type.Q8_0, None))


def gguf_name(name):
    stem, ending = name.removeprefix("roberta.").rsplit(".", 1)
    if stem.startswith("encoder.layer"):
        _, _, layer, part = stem.split(".", 3)
        own = next(own for own, plain, flash in LAYER if part in (plain, flash))
        return f"blk.{layer}.{own}.{ending}"
    return f"{next(own for own, plain, flash in NAMES if stem in (plain, flash))}.{ending}"


def form_of(name, value, matrices, words):
    if name == "token_embd.weight":
        return words
    keep = value.ndim == 1 or name in ("position_embd.weight", "token_types.weight", "cls.output.weight")
    return Type.F32 if keep else matrices


def add_vocabulary(writer, config, source):
    """As the converter reads it from sentencepiece.bpe.model, which has no <mask>, or from tokenizer.json."""
    tokenizer = json.loads((HERE.parent / "tokenizer/tiny-xlmr-jina.json").read_text())
    pieces = tokenizer["model"]["vocab"]
    kinds = [gguf.TokenType.NORMAL] * len(pieces)
    for token in (0, 1, 2, len(pieces) - 1):
        kinds[token] = gguf.TokenType.CONTROL
    kinds[3] = gguf.TokenType.UNKNOWN
    if source == "sentencepiece":
        pieces[-1], kinds[-1] = [f"[PAD{len(pieces) - 2}]", -10000.0], gguf.TokenType.UNUSED
        charsmap = tokenizer["normalizer"]["precompiled_charsmap"]
        writer.add_precompiled_charsmap(base64.b64decode(charsmap))
    writer.add_tokenizer_model("t5")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([piece for piece, _ in pieces])
    writer.add_token_scores([score for _, score in pieces])
    writer.add_token_types(kinds)
    writer.add_add_space_prefix(True)
    writer.add_token_type_count(config["type_vocab_size"])
    writer.add_remove_extra_whitespaces(True)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(3)
    writer.add_pad_token_id(1)
    writer.add_mask_token_id(len(pieces) - 1)


def write(name, source, matrices, words, vocabulary):
    """Writes the file and gives Hugging Face's configuration and tensors of what is in it."""
    config = json.loads((HERE.parent / "model" / source / "config.json").read_text())
    writer = gguf.GGUFWriter(HERE / f"{name}.gguf", "bert")
    writer.add_name(name)
    writer.add_context_length(config["max_position_embeddings"] - config["pad_token_id"] - 1)
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.RANK)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    add_vocabulary(writer, config, vocabulary)
    state = {}
    for hf_name, value in load_file(HERE.parent / "model" / source / "model.safetensors").items():
        if hf_name.endswith("position_ids"):
            continue
        value, own = value.to(torch.float32).numpy(), gguf_name(hf_name)
        form = form_of(own, value, matrices, words)
        left_out = config["pad_token_id"] + 1 if own == "position_embd.weight" else 0
        stored = gguf.quants.quantize(value[left_out:], form)
        back = gguf.quants.dequantize(stored, form).reshape(value[left_out:].shape)
        state[hf_name] = np.concatenate([np.zeros_like(value[:left_out]), back])
        squeezed = stored.squeeze() if form == Type.F32 else stored
        writer.add_tensor(own, squeezed.reshape(max(1, squeezed.size)) if squeezed.ndim == 0 else squeezed, raw_dtype=form)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return config, state


@torch.no_grad()
def logits(config, state, pairs):
    torch.set_default_dtype(torch.float64)
    known = {key: value for key, value in config.items() if key not in ("model_type", "auto_map", "architectures")}
    model = XLMRobertaForSequenceClassification(XLMRobertaConfig(**(known | {"num_labels": 1}))).eval()
    renamed = {}
    for name, value in state.items():
        renamed.update(to_transformers(name, torch.from_numpy(value.astype(np.float64))))
    missing, unexpected = model.load_state_dict(renamed, strict=False)
    assert not unexpected and all("position_ids" in name or "token_type_ids" in name for name in missing), (missing, unexpected)
    for pair in pairs:
        ids = torch.tensor([pair["ids"]])
        yield model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.item()


def blocks():
    """Random bytes, and what the package makes of them."""
    random = np.random.default_rng(7)
    result = []
    for form, block, count in ((Type.Q8_0, 34, 4), (Type.Q4_0, 18, 4), (Type.Q6_K, 210, 2)):
        stored = random.integers(0, 256, (count, block), dtype=np.uint8)
        scale_at = 208 if form == Type.Q6_K else 0
        stored[:, scale_at:scale_at + 2] = random.normal(0, 0.1, (count, 1)).astype(np.float16).view(np.uint8)
        values = gguf.quants.dequantize(stored.reshape(1, -1), form).reshape(-1)
        result.append({"form": form.name, "bytes": stored.reshape(-1).tolist(), "values": [float(value) for value in values]})
    return result


def main():
    golden = {}
    for name, source, matrices, words, vocabulary in FIXTURES:
        pairs = json.loads((HERE.parent / "model" / source / "golden.json").read_text())["pairs"]
        config, state = write(name, source, matrices, words, vocabulary)
        golden[name] = {"pairs": pairs, "logits": list(logits(config, state, pairs))}
        print(name, (HERE / f"{name}.gguf").stat().st_size, golden[name]["logits"][:3])
    (HERE / "golden.json").write_text(json.dumps(golden) + "\n")
    (HERE / "blocks.json").write_text(json.dumps(blocks()) + "\n")


if __name__ == "__main__":
    main()
