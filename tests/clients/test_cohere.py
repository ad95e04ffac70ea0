"""Cohere's own client, V1 and V2, with the model names of its documentation. Runs with every release we support."""

import asyncio
import unittest

import cohere
from serving import DOCUMENTS, KEY, ORDER, QUERY, URL, order


def indices(response):
    return [result.index for result in response.results]


class Cohere(unittest.TestCase):
    def test_client_v2_ranks_as_the_command_line(self):
        client = cohere.ClientV2(KEY, base_url=URL)
        response = client.rerank(model="rerank-v3.5", query=QUERY, documents=DOCUMENTS, top_n=3)
        self.assertEqual(indices(response), ORDER[:3])
        self.assertEqual((response.meta.api_version.version, response.meta.billed_units.search_units), ("2", 1))
        self.assertIn("rerank-v3.5", response.meta.warnings[0])

    def test_client_v1_ranks_objects_and_gives_them_back(self):
        client = cohere.Client(KEY, base_url=URL)
        records = [{"text": text, "source": f"page {page}"} for page, text in enumerate(DOCUMENTS)]
        response = client.rerank(
            model="rerank-english-v3.0", query=QUERY, documents=records, top_n=2, return_documents=True
        )
        self.assertEqual(indices(response), ORDER[:2])
        self.assertEqual(response.results[0].document.text, DOCUMENTS[ORDER[0]])
        self.assertEqual(response.results[0].document.source, f"page {ORDER[0]}")

    def test_client_v1_reads_the_fields_that_it_is_told(self):
        records = [{"title": f"Note {page}", "body": text} for page, text in enumerate(DOCUMENTS)]
        response = cohere.Client(KEY, base_url=URL).rerank(
            model="rerank-english-v3.0", query=QUERY, documents=records, rank_fields=["title", "body"]
        )
        self.assertEqual(indices(response), order(records, fields=["title", "body"]))

    def test_async_client_ranks_as_the_command_line(self):
        async def rerank():
            client = cohere.AsyncClientV2(KEY, base_url=URL)
            asked = [client.rerank(model="rerank-v3.5", query=QUERY, documents=DOCUMENTS) for _ in range(4)]
            return await asyncio.gather(*asked)

        for response in asyncio.run(rerank()):
            self.assertEqual(indices(response), ORDER)

    def test_a_base_url_with_a_version_works(self):
        for version in ["v1", "v2"]:
            client = cohere.ClientV2(KEY, base_url=f"{URL}/{version}")
            response = client.rerank(model="rerank-v3.5", query=QUERY, documents=DOCUMENTS, max_tokens_per_doc=None)
            self.assertEqual(indices(response), ORDER)

    def test_an_impossible_request_is_a_bad_request_with_a_message(self):
        with self.assertRaises(cohere.BadRequestError) as raised:
            cohere.ClientV2(KEY, base_url=URL).rerank(model="rerank-v3.5", query=QUERY, documents=[])
        self.assertIn("there are no documents", str(raised.exception.body))


if __name__ == "__main__":
    unittest.main()
