"""A measured process: one JSON request a line on stdin, one JSON reply a line on stdout.

The first request sets up; every later one, {"count": n}, is a block of n units of work. The process runs all
blocks, so that both sides of a comparison are warm, and ends when stdin closes.
"""

import json
import sys
import time


def resident_bytes():
    """Resident memory of this process now."""
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def serve(prepare):
    """`prepare(setup)` returns (reply, work); `work(n)` does n units and returns their result where results are
    compared."""
    replies = sys.stdout
    sys.stdout = sys.stderr  # what a library prints must not be taken for a reply
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
