"""The real server, and the order that the command line gives: what every client's answer is held against."""

import atexit
import json
import os
import subprocess

PROGRAM = os.environ.get("CROSSRANK_PROGRAM", "target/release/crossrank")
KEY = "any-key"
QUERY = "How long does cooked rice keep in the fridge?"
DOCUMENTS = [
    "Rice paddies are flooded fields for growing rice.",
    "Cooked rice keeps for four to six days in the refrigerator in an airtight container.",
    "The fridge was invented in the nineteenth century.",
    "Leftover rice should be cooled within an hour and eaten within a day, says the food agency.",
    "Basmati is a long-grained rice from the Indian subcontinent.",
]


def start():
    """Starts the server on a free port and gives its base URL."""
    arguments = [PROGRAM, "serve", "--port", "0", "--log", "warn"]
    server = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    atexit.register(server.wait)
    atexit.register(server.terminate)
    url = server.stdout.readline().strip()
    assert url.startswith("http://"), "the server did not start"
    return url


def order(documents=DOCUMENTS, query=QUERY, fields=None):
    """The indices of `documents`, best first, as `crossrank rerank` ranks them."""
    arguments = [PROGRAM, "rerank", "--query", query, "--documents", "-", "--format", "jsonl"]
    arguments += ["--rank-fields", ",".join(fields)] if fields else []
    ranked = subprocess.run(arguments, input=json.dumps(documents), capture_output=True, text=True, check=True)
    return [json.loads(line)["index"] for line in ranked.stdout.splitlines()]


URL = start()
ORDER = order()
# A test that found the input order right would prove nothing.
assert ORDER != sorted(ORDER)
