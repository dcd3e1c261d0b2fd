"""Sends to the application of app.py, asked by bench in lines of JSON: see package line. One request, one answer."""

import json
import sys
import time

import billiard

from app import app, noop

INPUT = '{"A":1,"B":2}'
sent = []


def payload(size):
    return INPUT + " " * max(0, size - len(INPUT))


def send(q):
    """Enqueues count tasks from so many processes: threads of one would share its interpreter."""
    count, workers, data = q["count"], q.get("workers", 1), payload(q.get("size", 0))
    sent.clear()
    if workers == 1:
        begun = time.perf_counter()
        sent.extend(noop.delay(data).id for _ in range(count))
        return {"took": int((time.perf_counter() - begun) * 1e9)}
    ready, go = billiard.Semaphore(0), billiard.Event()
    ends = billiard.Queue()

    def work(n):
        noop.delay(data)  # connects; not counted
        ready.release()
        go.wait()
        for _ in range(n):
            noop.delay(data)
        ends.put(n)

    each = count // workers
    children = [billiard.Process(target=work, args=(each,)) for _ in range(workers)]
    for c in children:
        c.start()
    for _ in children:
        ready.acquire()
    begun = time.perf_counter()
    go.set()
    for _ in children:
        ends.get()
    took = time.perf_counter() - begun
    for c in children:
        c.join()
    return {"took": int(took * 1e9 * count / (each * workers))}


def trip(q):
    data, values = payload(q.get("size", 0)), []
    for _ in range(q["count"]):
        begun = time.perf_counter()
        noop.delay(data).get(timeout=30)
        values.append((time.perf_counter() - begun) * 1e3)
    return {"values": values}


def check(q):
    for i in sent[: q["count"]]:
        if (got := app.AsyncResult(i).get(timeout=30)) != {"Sum": 3}:
            raise ValueError(f"result {got!r}")
    return {}


OPS = {"send": send, "trip": trip, "check": check}


def main():
    for text in sys.stdin:
        q = json.loads(text)
        try:
            answer = OPS[q["op"]](q)
        except Exception as e:  # the driver leaves out what fails here, and says why
            answer = {"error": f"{type(e).__name__}: {e}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
