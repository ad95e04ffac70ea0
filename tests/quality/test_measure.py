"""python -m unittest discover tests/quality: the measuring itself, against figures worked out by hand."""

import json
import math
import pathlib
import tempfile
import unittest

import measure
from bm25 import Bm25


class Metrics(unittest.TestCase):
    def test_ndcg_discounts_by_the_log_of_the_rank(self):
        ndcg, _ = measure.metrics({"q": ["a", "b"]}, {"q": {"b": 1}})
        self.assertAlmostEqual(ndcg, 1 / math.log2(3))

    def test_a_tie_keeps_the_order_given_and_not_that_of_the_ids(self):
        run = measure.reranked({"q": ["z", "a"]}, {"q": {"z": 1.0, "a": 1.0}})
        self.assertEqual(measure.metrics(run, {"q": {"z": 1}}), (1.0, 1.0))

    def test_a_query_without_candidates_counts_zero(self):
        ndcg, mrr = measure.metrics({"q": ["a"]}, {"q": {"a": 1}, "r": {"b": 1}})
        self.assertEqual((ndcg, mrr), (0.5, 0.5))

    def test_mrr_stops_after_ten(self):
        run = {"q": [str(number) for number in range(11)]}
        self.assertEqual(measure.metrics(run, {"q": {"10": 1}})[1], 0)

    def test_tau_of_one_swap_in_three_is_a_third(self):
        self.assertAlmostEqual(measure.kendall_tau([1, 2, 3], [1, 3, 2]), 1 / 3)

    def test_tau_of_a_constant_list_is_none(self):
        self.assertIsNone(measure.kendall_tau([1, 2], [5, 5]))


class Scores(unittest.TestCase):
    def test_a_score_file_with_a_missing_line_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "scores.jsonl")
            path.write_text(json.dumps({"index": 0, "logit": 1.5}) + "\n")
            self.assertEqual(measure.read_logits(path, {"q": ["a"]}), {"q": {"a": 1.5}})
            with self.assertRaises(SystemExit):
                measure.read_logits(path, {"q": ["a", "b"]})


class FirstStage(unittest.TestCase):
    def test_bm25_scores_one_term_as_lucene_does(self):
        index = Bm25({"a": "the dog runs", "b": "cats"})
        # Two documents of 2 and 1 terms: idf ln 2, length norm 0.9 * (0.6 + 0.4 * 2 / 1.5).
        expected = math.log(2) / (1 + 0.9 * (0.6 + 0.4 * 2 / 1.5))
        self.assertAlmostEqual(index.scores("running")["a"], expected)
        self.assertEqual(index.best("running", 10), ["a"])


if __name__ == "__main__":
    unittest.main()
