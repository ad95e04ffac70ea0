"""Clients at once on loopback: ./build.sh bench server [--clients 1,8,64,512 --documents 5 --words 16 --seconds 20].

Every client asks again as soon as it is answered. Prints a line of JSON for each number of clients: requests per
second, and seconds until the answer at the 50th, 95th and 99th percentile. With `--peer URL` another server that
answers `POST /rerank` gets the same load in turns with ours, `--rounds` times; it must run already, with the same model.
"""

import argparse
import asyncio
import json
import random
import subprocess
import time
from collections import Counter

import aiohttp

WORDS = "berlin people river census museum district live number old growth city street house water train".split()
JSON = {"content-type": "application/json"}


def body(random, documents, words):
    texts = [" ".join(random.choices(WORDS, k=random.randint(words // 2, words * 3 // 2))) for _ in range(documents)]
    return json.dumps({"query": "how many people live in berlin", "documents": texts})


async def ask(session, number, end, shape, times, statuses):
    generator = random.Random(number)
    while time.monotonic() < end:
        started = time.monotonic()
        async with session.post("/rerank", data=body(generator, *shape), headers=JSON) as answer:
            await answer.read()
        times.append(time.monotonic() - started)
        statuses[answer.status] += 1
        if answer.status == 429:
            await asyncio.sleep(float(answer.headers.get("retry-after", 1)))


async def load(engine, url, clients, seconds, shape):
    times, statuses, started = [], Counter(), time.monotonic()
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(600)
    async with aiohttp.ClientSession(url, connector=connector, timeout=timeout) as session:
        end = started + seconds
        await asyncio.gather(*(ask(session, number, end, shape, times, statuses) for number in range(clients)))
    elapsed = time.monotonic() - started
    times.sort()
    percentiles = {f"p{share}": round(times[min(len(times) - 1, len(times) * share // 100)], 3) for share in (50, 95, 99)}
    line = {"engine": engine, "clients": clients, "requests": len(times), "per_second": round(len(times) / elapsed, 1), **percentiles}
    print(json.dumps({**line, "statuses": statuses}), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="target/release/crossrank")
    parser.add_argument("--clients", default="1,8,64,512")
    parser.add_argument("--documents", type=int, default=5)
    parser.add_argument("--words", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--peer", metavar="URL")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    command = [arguments.program, "serve", "--port", "0", "--log", "error"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        engines = {"crossrank": server.stdout.readline().strip()} | ({"peer": arguments.peer} if arguments.peer else {})
        shape = (arguments.documents, arguments.words)
        for clients in map(int, arguments.clients.split(",")):
            for engine, url in list(engines.items()) * arguments.rounds:
                asyncio.run(load(engine, url, clients, arguments.seconds, shape))
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
