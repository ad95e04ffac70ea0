"""The package `rerankers`, through its client of rerank APIs."""

import unittest

from rerankers import Reranker
from serving import DOCUMENTS, KEY, ORDER, QUERY, URL


class Rerankers(unittest.TestCase):
    def assert_ranked(self, provider, path):
        ranker = Reranker("rerank-v3.5", model_type="APIRanker", api_provider=provider, api_key=KEY, url=URL + path)
        found = ranker.rank(QUERY, DOCUMENTS)
        self.assertEqual([result.doc_id for result in found.results], ORDER)

    def test_the_cohere_provider_ranks_as_the_command_line(self):
        self.assert_ranked("cohere", "/v1/rerank")

    def test_the_jina_provider_ranks_as_the_command_line(self):
        self.assert_ranked("jina", "/v1/rerank")

    def test_the_tei_provider_ranks_as_the_command_line(self):
        self.assert_ranked("text-embeddings-inference", "/rerank")


if __name__ == "__main__":
    unittest.main()
