"""Golden token ids from Hugging Face tokenizers, for the texts and pairs of strings.json.

    python make_golden.py --train BGE_TOKENIZER_JSON      # tiny-xlmr-bge.json, tiny-xlmr-jina.json: tokenizers
    python make_golden.py NAME=TOKENIZER_JSON...          # ids/NAME.json for these and for the two tiny ones

Needs tokenizers. The tiny ones are the two published forms of an XLM-RoBERTa tokenizer, with 1,000 pieces. Their
normalization table is sentencepiece's nmt_nfkc (Apache-2.0), taken from the given file.
"""

import argparse
import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

HERE = Path(__file__).parent
TINY = ["tiny-xlmr-bge", "tiny-xlmr-jina"]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
TINY_VOCAB = 1000
# The rest of the scripts stay unknown, so that runs of <unk> are tested too.
TRAINED_ON = ["english", "latin", "cyrillic", "greek", "arabic", "georgian", "han_simplified", "japanese", "code",
              "addresses", "numbers", "punctuation", "short"]
# Longer lists are committed as a count and a hash.
MAX_IDS = 2000
JINA_MAX_QUERY, JINA_MAX_LENGTH, JINA_OVERLAP = 16, 48, 80


def text(entry):
    """A text, or texts to repeat."""
    return entry if isinstance(entry, str) else "".join(entry["repeat"]) * entry["times"]


def strings():
    return json.loads((HERE / "strings.json").read_text("utf-8"))


# ---- The tiny tokenizers


def charsmap(node):
    """The first Precompiled normalizer's table."""
    if node["type"] == "Precompiled":
        return node["precompiled_charsmap"]
    return charsmap(node["normalizers"][0])


def form(name, table):
    """Normalizer and pre-tokenizer as bge-reranker-v2-m3 and jina-reranker-v2 publish them."""
    precompiled = {"type": "Precompiled", "precompiled_charsmap": table}
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    if name == "tiny-xlmr-jina":
        return precompiled, {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]}
    strip = {"type": "Strip", "strip_left": False, "strip_right": True}
    spaces = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}
    return {"type": "Sequence", "normalizers": [precompiled, strip, spaces]}, metaspace


def trained_pieces():
    """Pieces and scores of a Unigram model of the texts' own language."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    groups = strings()["groups"]
    trainer = trainers.UnigramTrainer(vocab_size=TINY_VOCAB - 1, special_tokens=SPECIAL, unk_token="<unk>",
                                      show_progress=False)
    tokenizer.train_from_iterator([text(entry) for group in TRAINED_ON for entry in groups[group]], trainer)
    vocab = json.loads(tokenizer.to_str())["model"]["vocab"]
    # Rounded and sorted, because training sums in an order that changes from run to run.
    learned = sorted(([piece, round(score, 2)] for piece, score in vocab[len(SPECIAL):]), key=lambda x: (-x[1], x[0]))
    pieces = [*([name, 0.0] for name in SPECIAL), *learned, ["<mask>", 0.0]]
    if len(pieces) != TINY_VOCAB:
        raise SystemExit(f"{len(pieces)} pieces were trained, not {TINY_VOCAB}; give the trainer more text")
    return pieces


def train(bge_tokenizer_json, out):
    table = charsmap(json.loads(Path(bge_tokenizer_json).read_text("utf-8"))["normalizer"])
    pieces = trained_pieces()
    token = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}
    sequence = lambda name: {"Sequence": {"id": name, "type_id": 0}}
    added = [{"id": id, "content": content, "single_word": False, "lstrip": content == "<mask>", "rstrip": False,
              "normalized": False, "special": True}
             for id, content in [*enumerate(SPECIAL), (TINY_VOCAB - 1, "<mask>")]]
    for name in TINY:
        normalizer, pre_tokenizer = form(name, table)
        document = {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": normalizer, "pre_tokenizer": pre_tokenizer,
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [token("<s>"), sequence("A"), token("</s>")],
                "pair": [token("<s>"), sequence("A"), token("</s>"), token("</s>"), sequence("B"), token("</s>")],
                "special_tokens": {name: {"id": name, "ids": [id], "tokens": [name]}
                                   for name, id in [("<s>", 0), ("</s>", 2)]},
            },
            "decoder": pre_tokenizer if name == "tiny-xlmr-bge" else pre_tokenizer["pretokenizers"][1],
            "model": {"type": "Unigram", "unk_id": 3, "vocab": pieces, "byte_fallback": False},
        }
        (out / f"{name}.json").write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")), "utf-8")


# ---- Golden ids


def fnv1a(ids):
    """64-bit FNV-1a over ids, one id a step."""
    state = 0xCBF29CE484222325
    for id in ids:
        state = (state ^ id) * 0x100000001B3 % 2**64
    return state


def compact(ids):
    return ids if len(ids) <= MAX_IDS else {"count": len(ids), "fnv1a": f"{fnv1a(ids):016x}"}


def truncated(tokenizer, query, document, max_length, strategy):
    """Ids and type ids, or None where Hugging Face refuses."""
    tokenizer.enable_truncation(max_length, strategy=strategy)
    try:
        encoding = tokenizer.encode(query, document)
    except Exception as error:
        if "too short to respect" not in str(error):
            raise
        return None
    finally:
        tokenizer.no_truncation()
    return {"ids": encoding.ids, "type_ids": encoding.type_ids}


def jina_windows(tokenizer, query, document):
    """The sequences that `rerank` of jina-reranker-v2-base-multilingual builds (XLM-RoBERTa only)."""
    query = tokenizer.encode(query).ids
    if len(query) > JINA_MAX_QUERY:
        query = query[:JINA_MAX_QUERY - 1] + query[-1:]
    document = tokenizer.encode(document, add_special_tokens=False).ids
    room = JINA_MAX_LENGTH - len(query) - 2
    chunks = [document]
    if len(document) > room:
        chunks, start, overlap = [], 0, min(JINA_OVERLAP, room // 4)
        while start < len(document):
            if start + room >= len(document):
                chunks.append(document[-room:])
                break
            chunks.append(document[start:start + room])
            start += room - overlap
    return [query + [2] + chunk + [2] for chunk in chunks]


def golden(tokenizer):
    given = strings()
    pairs = []
    for query, document in ((text(query), text(document)) for query, document in given["pairs"]):
        full = tokenizer.encode(query, document)
        pairs.append({
            "ids": full.ids,
            "type_ids": full.type_ids,
            "longest_first": [truncated(tokenizer, query, document, n, "longest_first") for n in given["max_lengths"]],
            "only_second": [truncated(tokenizer, query, document, n, "only_second") for n in given["max_lengths"]],
        } | ({"jina_windows": jina_windows(tokenizer, query, document)} if tokenizer.token_to_id("</s>") == 2 else {}))
    return {
        "vocab_size": tokenizer.get_vocab_size(with_added_tokens=True),
        "strings": {group: [compact(tokenizer.encode(text(entry), add_special_tokens=False).ids) for entry in entries]
                    for group, entries in given["groups"].items()},
        "pairs": pairs,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizers", nargs="*", metavar="NAME=TOKENIZER_JSON")
    parser.add_argument("--train", metavar="BGE_TOKENIZER_JSON")
    parser.add_argument("--out", type=Path, default=HERE)
    arguments = parser.parse_args()
    if arguments.train:
        train(arguments.train, arguments.out)
    (arguments.out / "ids").mkdir(exist_ok=True)
    named = [argument.split("=", 1) for argument in arguments.tokenizers]
    for name, path in [*named, *((name, arguments.out / f"{name}.json") for name in TINY)]:
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        lines = json.dumps(golden(tokenizer), separators=(",", ":")).replace('],"', '],\n"')
        (arguments.out / "ids" / f"{name}.json").write_text(lines + "\n")


if __name__ == "__main__":
    main()
