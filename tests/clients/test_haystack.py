"""Haystack's rankers for Cohere and for Jina."""

import os
import unittest

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

from haystack import Document
from haystack.utils import Secret
from haystack_integrations.components.rankers.cohere import CohereRanker
from haystack_integrations.components.rankers.jina import JinaRanker
from serving import DOCUMENTS, KEY, ORDER, QUERY, URL


def documents():
    return [Document(content=text, meta={"page": page}) for page, text in enumerate(DOCUMENTS)]


class Haystack(unittest.TestCase):
    def assert_ranked(self, ranker, count):
        found = ranker.run(query=QUERY, documents=documents(), top_k=count)["documents"]
        self.assertEqual([document.meta["page"] for document in found], ORDER[:count])

    def test_the_cohere_ranker_ranks_as_the_command_line(self):
        self.assert_ranked(CohereRanker(api_key=Secret.from_token(KEY), api_base_url=URL), 3)

    def test_the_jina_ranker_ranks_as_the_command_line(self):
        ranker = JinaRanker(api_key=Secret.from_token(KEY), base_url=f"{URL}/v1/rerank")
        self.assert_ranked(ranker, len(DOCUMENTS))


if __name__ == "__main__":
    unittest.main()
