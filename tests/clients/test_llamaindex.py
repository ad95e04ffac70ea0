"""LlamaIndex's postprocessors for Cohere and for Text Embeddings Inference."""

import unittest

from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.cohere_rerank import CohereRerank
from llama_index.postprocessor.tei_rerank import TextEmbeddingInference
from serving import DOCUMENTS, KEY, ORDER, QUERY, URL


def nodes():
    return [NodeWithScore(node=TextNode(id_=str(page), text=text)) for page, text in enumerate(DOCUMENTS)]


class LlamaIndex(unittest.TestCase):
    def test_cohere_rerank_ranks_as_the_command_line(self):
        found = CohereRerank(api_key=KEY, base_url=URL, top_n=2).postprocess_nodes(nodes(), query_str=QUERY)
        self.assertEqual([int(node.node_id) for node in found], ORDER[:2])

    def test_tei_rerank_ranks_as_the_command_line(self):
        rerank = TextEmbeddingInference(base_url=URL, top_n=3, auth_token=KEY)
        found = rerank.postprocess_nodes(nodes(), query_str=QUERY)
        self.assertEqual([int(node.node_id) for node in found], ORDER[:3])


if __name__ == "__main__":
    unittest.main()
