"""What trec_eval (pytrec_eval-terrier) and SciPy say about generated runs: golden.json.

    python make_golden.py

Runs have ties, ties in single precision only, queries without judgements, judgements without a query's run, grades
from -1 to 4, documents that nobody judged. Needs pytrec_eval-terrier and scipy.
"""

import json
import random
from pathlib import Path

import numpy
import pytrec_eval
from scipy import stats

MEASURES = {"ndcg_cut.1,5,10,100", "map", "recall.5,100", "P.1,5", "recip_rank"}


def generated(seed):
    random.seed(seed)
    documents = [f"d{number}" for number in range(60)] + ["D7", "é3", "中", "d-1"]
    queries = [f"q{number}" for number in range(30)]
    grades = [-1, 0, 0, 0, 1, 1, 2, 4] if seed % 2 else [0, 1]
    qrels = {query: {document: random.choice(grades) for document in random.sample(documents, random.randint(1, 25))}
             for query in queries[:25]}
    run = {}
    for query in queries[5:]:
        found = random.sample(documents, random.randint(1, 50))
        # Few distinct scores, some of which differ in double precision only.
        scores = [random.choice([0, 0.5, 1, 7, -3]) + random.choice([0, 0, 1e-9, 1e-7, 0.01]) for _ in found]
        run[query] = dict(zip(found, scores))
    return {"qrels": qrels, "run": run}


def first_ten(run):
    """The run cut at rank 10 in trec_eval's order: recip_rank of it is MRR@10."""
    order = lambda item: (-float(numpy.float32(item[1])), [-byte for byte in item[0].encode()] + [1])
    return {query: dict(sorted(found.items(), key=order)[:10]) for query, found in run.items()}


def measured(case):
    evaluator = pytrec_eval.RelevanceEvaluator(case["qrels"], MEASURES)
    values = evaluator.evaluate(case["run"])
    for query, value in evaluator.evaluate(first_ten(case["run"])).items():
        values[query]["recip_rank_10"] = value["recip_rank"]
    return {**case, "expected": values}


def paired(seed, count):
    random.seed(seed)
    before = [round(random.random(), 3) for _ in range(count)]
    after = [round(min(1, value + random.gauss(0.1, 0.25)), 3) for value in before]
    test = stats.permutation_test((before, after), lambda a, b: numpy.mean(a) - numpy.mean(b), n_resamples=numpy.inf,
                                  permutation_type="samples", alternative="two-sided")
    interval = stats.bootstrap((after,), numpy.mean, method="percentile", n_resamples=200_000, random_state=1)
    low, high = interval.confidence_interval
    return {"before": before, "after": after, "p": test.pvalue, "low": low, "high": high}


def main():
    golden = {"cases": [measured(generated(seed)) for seed in range(8)], "paired": [paired(seed, 12) for seed in range(6)]}
    text = json.dumps(golden, ensure_ascii=False, separators=(",", ":"))
    Path(__file__).with_name("golden.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
