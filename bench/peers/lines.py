"""A measured process: one JSON request a line on stdin, one JSON reply a line on stdout.

The first request sets up; every later one, {"count": n}, is a block of n units of work. The process lives through all
blocks, so that both sides of a comparison are warm, and it ends when stdin closes.
"""

import json
import sys
import time


def resident_bytes():
    """Memory that this process holds now."""
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def serve(prepare):
    """`prepare(setup)` returns (reply, work); `work(n)` does n units and returns when they are done, with what it found
    where that is compared."""
    replies = sys.stdout
    sys.stdout = sys.stderr  # nothing that a library prints may pass for a reply
    work = None
    for line in sys.stdin:
        request = json.loads(line)
        if work is None:
            reply, work = prepare(request)
        else:
            start = time.perf_counter()
            result = work(request["count"])
            reply = {"seconds": time.perf_counter() - start, "result": result}
        print(json.dumps(reply), file=replies, flush=True)
