"""langchain-cohere's CohereRerank inside a ContextualCompressionRetriever."""

import unittest
import asyncio

from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_cohere import CohereRerank
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from serving import DOCUMENTS, KEY, ORDER, QUERY, URL


class Everything(BaseRetriever):
    def _get_relevant_documents(self, query, *, run_manager):
        return [Document(text, metadata={"page": page}) for page, text in enumerate(DOCUMENTS)]


class LangChain(unittest.TestCase):
    def setUp(self):
        compressor = CohereRerank(model="rerank-english-v3.0", cohere_api_key=KEY, base_url=URL)
        self.retriever = ContextualCompressionRetriever(base_compressor=compressor, base_retriever=Everything())

    def test_the_compression_retriever_ranks_as_the_command_line(self):
        found = self.retriever.invoke(QUERY)
        self.assertEqual([document.metadata["page"] for document in found], ORDER[:3])
        scores = [document.metadata["relevance_score"] for document in found]
        self.assertEqual(scores, sorted(scores, reverse=True))

    def test_the_compression_retriever_ranks_asynchronously(self):
        found = asyncio.run(self.retriever.ainvoke(QUERY))
        self.assertEqual([document.metadata["page"] for document in found], ORDER[:3])


if __name__ == "__main__":
    unittest.main()
