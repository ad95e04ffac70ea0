"""Ten minutes of bad weather for `crossrank serve`: python tests/bench/faults.py --program PATH [--seconds 600].

Clients that behave, beside bodies that are malformed, clients that read slowly, close half their socket, or are
killed in the middle. Prints one line of JSON: what was answered, and the server's memory as it went.
"""

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import time
from collections import Counter

WORDS = "berlin people river census museum district live number old growth city street house water train".split()
# What a server may answer to a body that is broken.
REFUSED = {400, 413, 415, 422}


def text(words):
    return " ".join(random.choices(WORDS, k=words))


def fine_body():
    documents = [text(random.randint(3, 60)) for _ in range(random.choice([1, 3, 10]))]
    body = {"model": "any", "query": text(6), "documents": documents}
    if random.random() < 0.2:
        body["deadline_ms"] = random.choice([1, 50, 500])
    return json.dumps(body).encode(), len(documents)


def broken_body():
    body, _ = fine_body()
    cut = random.randrange(1, len(body))
    flipped = bytearray(body)
    flipped[cut] = random.randrange(256)
    wrong = [body[:cut], b"", b"[]", b"null", b'{"query":1}', b"\xff" * 50, body + b"}", b"[" * 100_000]
    return random.choice([*wrong, bytes(flipped)])


def request(body, length=None):
    head = "POST /v2/rerank HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {length or len(body)}\r\nconnection: close\r\n\r\n".encode() + body


async def answer(reader, pause=0.0):
    """The status and the body of an answer, read slowly if asked for; none if the connection broke."""
    data = b""
    while piece := await reader.read(64 if pause else 65536):
        data += piece
        await asyncio.sleep(pause)
    if not data:
        return None, None
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


class Weather:
    def __init__(self, port):
        self.port, self.seen, self.problems = port, Counter(), []

    async def once(self):
        kind = random.choices(["fine", "broken", "slow", "half_closed", "killed"], [80, 5, 5, 5, 5])[0]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            status = await getattr(self, kind)(reader, writer)
        except (ConnectionError, BrokenPipeError):
            # A refusal may be sent, and the connection closed, before the whole body was.
            status = "closed"
        finally:
            writer.close()
        self.seen[f"{kind} {status}"] += 1

    async def fine(self, reader, writer, pause=0.0):
        body, documents = fine_body()
        writer.write(request(body))
        status, found = await answer(reader, pause)
        results = json.loads(found)["results"] if status == 200 else []
        if status not in (200, 429) or status == 200 and len(results) != documents:
            self.problems.append(f"fine: {status} {found}")
        return status

    async def slow(self, reader, writer):
        return await self.fine(reader, writer, pause=0.02)

    async def broken(self, reader, writer):
        body = broken_body()
        writer.write(request(body))
        status, found = await answer(reader)
        # A flipped byte may leave a body that is fine.
        if status not in REFUSED | {200, 429}:
            self.problems.append(f"broken: {status} {found} to {body[:200]}")
        return status

    async def half_closed(self, reader, writer):
        body, _ = fine_body()
        writer.write(request(body[: len(body) // 2], len(body)))
        writer.write_eof()
        status, _ = await answer(reader)
        return status

    async def killed(self, _reader, writer):
        body, _ = fine_body()
        writer.write(request(body))
        await writer.drain()
        await asyncio.sleep(random.random() * 0.2)
        writer.transport.abort()
        return "aborted"


def resident_mb(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) // 1024


async def blow(server, port, seconds, clients):
    weather, memory, end = Weather(port), [], time.monotonic() + seconds

    async def client():
        while time.monotonic() < end:
            await weather.once()

    async def watch():
        while time.monotonic() < end:
            memory.append(resident_mb(server.pid))
            await asyncio.sleep(seconds / 20)

    await asyncio.gather(watch(), *(client() for _ in range(clients)))
    return weather, memory


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="target/release/crossrank")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=16)
    arguments = parser.parse_args()
    command = [arguments.program, "serve", "--port", "0", "--log", "error"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    port = int(server.stdout.readline().rsplit(":", 1)[1])
    weather, memory = asyncio.run(blow(server, port, arguments.seconds, arguments.clients))
    server.terminate()
    status = server.wait(60)
    seen = dict(sorted(weather.seen.items()))
    print(json.dumps({"seen": seen, "problems": weather.problems[:5], "resident_mb": memory, "exit": status}))
    if weather.problems or status:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
