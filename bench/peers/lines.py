"""A measured process: one JSON request a line on stdin, one JSON reply a line on stdout.

The first request sets up; every later one, {"count": n}, is a block of n units of work. The process lives through all
blocks, so that both sides of a comparison are warm, and it ends when stdin closes.
"""

import json
import sys
import time


def serve(prepare):
    """`prepare(setup)` returns (reply, work); `work(n)` does n units and returns when they are done."""
    replies = sys.stdout
    sys.stdout = sys.stderr  # nothing that a library prints may pass for a reply
    work = None
    for line in sys.stdin:
        request = json.loads(line)
        if work is None:
            reply, work = prepare(request)
        else:
            start = time.perf_counter()
            work(request["count"])
            reply = {"seconds": time.perf_counter() - start}
        print(json.dumps(reply), file=replies, flush=True)
