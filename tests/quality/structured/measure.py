#!/usr/bin/env python3
"""Measures how alike the program scores the same facts as prose, as JSON text and as an object.

    python tests/quality/structured/measure.py --program crossrank [--model NAME|DIR]

A line of triples.jsonl is a query, a paragraph of prose and a record of the same facts. `relevant` says whether
they answer the query; if not, they are a near miss: the right topic without the answer. Every record is scored
in three forms: `prose`, the paragraph; `json`, the record's JSON text; `yaml`, the record itself as an object
document, which the program turns into YAML. One `crossrank rerank` per query scores all documents in all forms.

Per form, the first table has
    relevant   the mean score of the documents that answer their query
    near miss  the mean score of those that do not
    > 0.5      the share of the former with a score above 0.5
    MRR        the mean reciprocal rank of the document that answers, over all queries, among all documents of
               the same form; ties count against it
    in prose   the same among the prose of all other triples: a record in a collection of prose
The second has the spread of a triple, its highest less its lowest score of the three forms: mean, median,
highest, and how many triples have at most 0.20. It is given for scores, for logits (without that count) and
relative to the highest score of the triple, where a near miss divides by almost nothing: read the first line.
With --each, a line for every triple follows. The program's own options are taken from CROSSRANK_DEVICE,
CROSSRANK_DTYPE and so on. Needs nothing but Python.
"""

import argparse
import json
import pathlib
import statistics
import subprocess

TRIPLES = pathlib.Path(__file__).with_name("triples.jsonl")
FORMS = {
    "prose": lambda triple: triple["prose"],
    "json": lambda triple: json.dumps(triple["record"], ensure_ascii=False),
    "yaml": lambda triple: triple["record"],
}


def read_triples(path=TRIPLES):
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def rerank(command, query, documents):
    """The (score, logit) of every document, in the order given."""
    text = "".join(json.dumps(document) + "\n" for document in documents)
    flags = ["--query", query, "--documents", "-", "--format", "jsonl", "--raw-scores"]
    run = subprocess.run([*command, *flags], input=text, capture_output=True, encoding="utf-8")
    if run.returncode:
        raise SystemExit(run.stderr)
    results = sorted(map(json.loads, run.stdout.splitlines()), key=lambda result: result["index"])
    assert len(results) == len(documents), "the program left documents out"
    return [(result["score"], result["logit"]) for result in results]


def score(command, triples, forms=FORMS):
    """(score, logit) by query and form, one for every triple's document."""
    documents = [form(triple) for form in forms.values() for triple in triples]
    results = {}
    for query in dict.fromkeys(triple["query"] for triple in triples):
        found = iter(rerank(command, query, documents))
        results[query] = {form: [next(found) for _ in triples] for form in forms}
    return results


def own(results, triples, form, value=0):
    """The scores (value 0) or logits (1) of `form`, each triple's document for its own query."""
    return [results[triple["query"]][form][index][value] for index, triple in enumerate(triples)]


def mean_reciprocal_rank(results, triples, form, others):
    """Each document that answers, in `form`, among the documents of all other triples in the form `others`."""
    ranks = []
    for index, triple in enumerate(triples):
        if triple["relevant"]:
            logit = results[triple["query"]][form][index][1]
            rivals = enumerate(results[triple["query"]][others])
            ranks.append(1 / (1 + sum(rival >= logit for place, (_, rival) in rivals if place != index)))
    return statistics.mean(ranks)


def form_row(results, triples, form):
    """Mean score where relevant and where not, share above 0.5, MRR, MRR among prose."""
    scores = own(results, triples, form)
    relevant = [score for score, triple in zip(scores, triples) if triple["relevant"]]
    missed = [score for score, triple in zip(scores, triples) if not triple["relevant"]]
    above = sum(score > 0.5 for score in relevant) / len(relevant)
    ranks = (mean_reciprocal_rank(results, triples, form, others) for others in (form, "prose"))
    return statistics.mean(relevant), statistics.mean(missed), above, *ranks


def spreads(columns, relative=False):
    """Highest less lowest of each triple's values; `columns` holds one list per form."""
    return [(max(row) - min(row)) / (max(row) if relative else 1) for row in zip(*columns)]


def print_forms(results, triples, forms):
    print(f"{'form':<19} {'relevant':>9} {'near miss':>9} {'> 0.5':>7} {'MRR':>7} {'in prose':>9}")
    for form in forms:
        relevant, missed, above, mrr, mixed = form_row(results, triples, form)
        print(f"{form:<19} {relevant:>9.3f} {missed:>9.3f} {above:>7.0%} {mrr:>7.3f} {mixed:>9.3f}")


def print_spreads(results, triples, forms):
    print(f"{'spread':<19} {'mean':>9} {'median':>9} {'highest':>9} {'<= 0.20':>9}")
    for unit, value, relative in [("score", 0, False), ("relative", 0, True), ("logit", 1, False)]:
        found = spreads([own(results, triples, form, value) for form in forms], relative)
        for name, wanted in [("relevant", {True}), ("near miss", {False}), ("all", {True, False})]:
            part = [spread for spread, triple in zip(found, triples) if triple["relevant"] in wanted]
            few = "" if unit == "logit" else f"{sum(spread <= 0.2 for spread in part)} of {len(part)}"
            mean, median = statistics.mean(part), statistics.median(part)
            print(f"{unit + ', ' + name:<19} {mean:>9.3f} {median:>9.3f} {max(part):>9.3f} {few:>9}")


def print_each(results, triples, forms):
    for index, triple in enumerate(triples):
        cells = (results[triple["query"]][form][index] for form in forms)
        print(f"{triple['id']:<29}", *(f"{score:6.3f} ({logit:6.2f})" for score, logit in cells))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="crossrank", help="the program, by name or path")
    parser.add_argument("--model", help="passed on to the program")
    parser.add_argument("--each", action="store_true", help="a line for every triple, too")
    options = parser.parse_args()
    command = [options.program, "rerank", *(["--model", options.model] if options.model else [])]
    triples = read_triples()
    results = score(command, triples)
    print_forms(results, triples, FORMS)
    print()
    print_spreads(results, triples, FORMS)
    if options.each:
        print()
        print_each(results, triples, FORMS)


if __name__ == "__main__":
    main()
