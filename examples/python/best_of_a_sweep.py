"""Submits a sweep, waits for it, and prints mean and spread over seeds of each value.

python best_of_a_sweep.py ../quickstart.toml optimizer.lr
"""

import sys

import tandem

if len(sys.argv) != 3:
    sys.exit("usage: python best_of_a_sweep.py EXPERIMENT.toml PARAMETER")
run = tandem.connect().submit(sys.argv[1])
print(f"{run.name}: {len(run.answer['jobs'])} jobs", file=sys.stderr)
frame = run.wait().results(columns=["job", "seed", "figure", "value", sys.argv[2]])
measured = frame.dropna(subset=["value"])
print(measured.groupby(["figure", sys.argv[2]], dropna=False)["value"].agg(["mean", "std", "count"]).to_string())
