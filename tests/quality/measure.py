#!/usr/bin/env python3
"""Measures what reranking does to a collection in the BEIR layout.

    python tests/quality/measure.py pairs    COLLECTION PAIRS.jsonl [--top 20]
    python tests/quality/measure.py evaluate COLLECTION --program crossrank --model models/default [--top 20]
    python tests/quality/measure.py evaluate COLLECTION --scores A.jsonl B.jsonl ... [--top 20]

The first stage is the collection's candidates.trec, ordered by BM25 within each list, or else BM25 over the
whole corpus, cut at --top. Scores come from `crossrank score` or from files in its output format, one line
for each pair. The table has nDCG@10, MRR@10 and, against the first of several score files, Kendall's tau-b
per query and the difference of logits. Needs pytrec_eval and PyStemmer.
"""

import argparse
import collections
import csv
import itertools
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import pytrec_eval

from bm25 import Bm25


def read_texts(path):
    """Texts by id: the title and the text of every line."""
    with path.open(encoding="utf-8") as lines:
        records = map(json.loads, lines)
        return {record["_id"]: f"{record.get('title', '')} {record['text']}".strip() for record in records}


def read_qrels(path):
    qrels = collections.defaultdict(dict)
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            qrels[row["query-id"]][row["corpus-id"]] = int(row["score"])
    return dict(qrels)


def first_stage(collection, queries, documents, qrels, top):
    """Candidates by query, best first."""
    index = Bm25(documents)
    candidates = collection / "candidates.trec"
    if not candidates.exists():
        return {query: index.best(queries[query], top) for query in qrels}
    lists = collections.defaultdict(list)
    for line in candidates.read_text(encoding="utf-8").splitlines():
        query, _, document, *_ = line.split()
        lists[query].append(document)
    for query, found in lists.items():
        scores = index.scores(queries[query])
        found.sort(key=lambda document: -scores.get(document, 0.0))
    return {query: lists[query] for query in qrels if query in lists}


def write_pairs(run, queries, documents, path):
    with path.open("w", encoding="utf-8") as out:
        for query, found in run.items():
            for document in found:
                pair = {"query": queries[query], "document": documents[document]}
                print(json.dumps(pair, ensure_ascii=False), file=out)


def read_logits(path, run):
    """Logits by query and document, from lines in the order of the pairs."""
    with path.open(encoding="utf-8") as source:
        lines = [json.loads(line) for line in source]
    pairs = [(query, document) for query, found in run.items() for document in found]
    if [line["index"] for line in lines] != list(range(len(pairs))):
        sys.exit(f"{path} holds {len(lines)} scores that are not in order for {len(pairs)} pairs: score again")
    logits = {query: {} for query in run}
    for (query, document), line in zip(pairs, lines):
        logits[query][document] = line["logit"]
    return logits


def score_with_program(program, model, pairs, out):
    command = [program, "score", "--pairs", pairs, "--model", model, "--format", "jsonl"]
    with out.open("wb") as stdout:
        subprocess.run(command, stdout=stdout, check=True)


def reranked(run, logits):
    """Candidates by logit; the first stage's order where logits are equal."""
    return {query: sorted(found, key=lambda document: -logits[query][document]) for query, found in run.items()}


def metrics(run, qrels):
    """Mean nDCG@10 and MRR@10 over all queries of the qrels; one without candidates counts zero."""
    # pytrec_eval orders by score and breaks ties by id, so ranks become distinct scores.
    scores = {query: {document: -float(rank) for rank, document in enumerate(found)} for query, found in run.items()}
    found = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut_10"}).evaluate(scores)
    ndcg = sum(value["ndcg_cut_10"] for value in found.values()) / len(qrels)
    mrr = sum(reciprocal_rank(run.get(query, []), grades) for query, grades in qrels.items()) / len(qrels)
    return ndcg, mrr


def reciprocal_rank(found, grades):
    ranks = (rank for rank, document in enumerate(found[:10], 1) if grades.get(document, 0) > 0)
    return 1 / next(ranks, math.inf)


def kendall_tau(left, right):
    """Tau-b of two lists of scores; none if one of them is constant."""
    agree, pairs_left, pairs_right = 0, 0, 0
    for (a, b), (c, d) in itertools.combinations(zip(left, right), 2):
        x, y = (a > c) - (a < c), (b > d) - (b < d)
        agree, pairs_left, pairs_right = agree + x * y, pairs_left + abs(x), pairs_right + abs(y)
    return agree / math.sqrt(pairs_left * pairs_right) if pairs_left and pairs_right else None


def compare(reference, logits):
    """Mean tau over queries, mean and largest difference of logits."""
    taus, differences = [], []
    for query, expected in reference.items():
        found = [logits[query][document] for document in expected]
        taus.append(kendall_tau(list(expected.values()), found))
        differences += [abs(a - b) for a, b in zip(expected.values(), found)]
    taus = [tau for tau in taus if tau is not None]
    return sum(taus) / len(taus), sum(differences) / len(differences), max(differences)


def evaluate(run, qrels, score_files):
    print(f"{'run':<28} {'nDCG@10':>8} {'MRR@10':>8} {'tau':>8} {'mean |Δ|':>9} {'max |Δ|':>9}")
    print("{:<28} {:>8.4f} {:>8.4f}".format("first stage", *metrics(run, qrels)))
    reference = None
    for path in score_files:
        logits = read_logits(path, run)
        row = "{:<28} {:>8.4f} {:>8.4f}".format(path.stem, *metrics(reranked(run, logits), qrels))
        if reference:
            row += " {:>8.4f} {:>9.4f} {:>9.4f}".format(*compare(reference, logits))
        reference = reference or logits
        print(row)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    pairs = commands.add_parser("pairs", help="write the pairs to score")
    evaluation = commands.add_parser("evaluate", help="print the table")
    for command in (pairs, evaluation):
        command.add_argument("collection", type=pathlib.Path)
        command.add_argument("--top", type=int, default=20, help="candidates per query (default 20)")
    pairs.add_argument("out", type=pathlib.Path)
    evaluation.add_argument("--scores", type=pathlib.Path, nargs="+", default=[], help="score files")
    evaluation.add_argument("--program", help="path of `crossrank`, to score now")
    evaluation.add_argument("--model", help="name or folder of the model for --program")
    arguments = parser.parse_args()
    if arguments.command == "evaluate" and not (arguments.scores or arguments.program and arguments.model):
        parser.error("evaluate needs --scores, or --program and --model")
    return arguments


def main():
    arguments = parse_arguments()
    queries = read_texts(arguments.collection / "queries.jsonl")
    documents = read_texts(arguments.collection / "corpus.jsonl")
    qrels = read_qrels(arguments.collection / "qrels" / "test.tsv")
    run = first_stage(arguments.collection, queries, documents, qrels, arguments.top)
    if arguments.command == "pairs":
        write_pairs(run, queries, documents, arguments.out)
        return
    with tempfile.TemporaryDirectory() as folder:
        score_files = list(arguments.scores)
        if arguments.program:
            pairs, scores = pathlib.Path(folder, "pairs.jsonl"), pathlib.Path(folder, "crossrank.jsonl")
            write_pairs(run, queries, documents, pairs)
            score_with_program(arguments.program, arguments.model, pairs, scores)
            score_files.append(scores)
        evaluate(run, qrels, score_files)


if __name__ == "__main__":
    main()
