"""How llama.cpp's converter lays out a reranker of the XLM-RoBERTa family (its conversion/bert.py). Needs gguf."""

import gguf
from gguf import GGMLQuantizationType as Type

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


def open_writer(path, name, config):
    """A writer that has been told the configuration."""
    writer = gguf.GGUFWriter(path, "bert")
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
    return writer


def add_vocabulary(writer, config, pieces, kinds, charsmap=None):
    """Pieces with their scores, and their kinds; the last is <mask>."""
    if charsmap is not None:
        writer.add_precompiled_charsmap(charsmap)
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


def kinds_of(count):
    """Of a vocabulary in XLM-RoBERTa's order."""
    kinds = [gguf.TokenType.NORMAL] * count
    for token in (0, 1, 2, count - 1):
        kinds[token] = gguf.TokenType.CONTROL
    kinds[3] = gguf.TokenType.UNKNOWN
    return kinds


def add_tensor(writer, config, hf_name, value, matrices, words):
    """Adds an array of Hugging Face's in its form; gives what is stored of it, and how many rows are left out."""
    own = gguf_name(hf_name)
    form = form_of(own, value, matrices, words)
    left_out = config["pad_token_id"] + 1 if own == "position_embd.weight" else 0
    stored = gguf.quants.quantize(value[left_out:], form)
    squeezed = stored.squeeze() if form == Type.F32 else stored
    writer.add_tensor(own, squeezed.reshape(1) if squeezed.ndim == 0 else squeezed, raw_dtype=form)
    return stored, form, left_out


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
