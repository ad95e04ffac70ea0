"""BM25 over an English collection: lower-cased words, Lucene's stop words, Porter stemming."""

import collections
import math
import re

import Stemmer

K1 = 0.9
B = 0.4
# The stop words of Lucene's EnglishAnalyzer, so that the figures stand beside Anserini's.
STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these "
    "they this to was will with".split()
)


class Bm25:
    """An inverted index over `documents`, texts by id."""

    def __init__(self, documents):
        self.stem = Stemmer.Stemmer("porter").stemWord
        self.ids = list(documents)
        self.postings = collections.defaultdict(list)
        self.lengths = []
        for index, text in enumerate(documents.values()):
            terms = collections.Counter(self.terms(text))
            self.lengths.append(terms.total())
            for term, count in terms.items():
                self.postings[term].append((index, count))
        self.average = sum(self.lengths) / len(self.lengths)

    def terms(self, text):
        words = re.findall(r"[^\W_]+", text.lower().replace("'s", "").replace("’s", ""))
        return [self.stem(word) for word in words if word not in STOP_WORDS]

    def scores(self, query):
        """Documents that share a term with `query`, by id, with their scores."""
        scores = collections.defaultdict(float)
        for term in self.terms(query):
            found = self.postings.get(term, ())
            weight = math.log(1 + (len(self.ids) - len(found) + 0.5) / (len(found) + 0.5))
            for index, count in found:
                norm = K1 * (1 - B + B * self.lengths[index] / self.average)
                scores[self.ids[index]] += weight * count / (count + norm)
        return scores

    def best(self, query, count):
        """The ids of the `count` best documents, ties by id."""
        scores = self.scores(query)
        return sorted(scores, key=lambda document: (-scores[document], document))[:count]
