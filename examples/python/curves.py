"""Prints how a curve goes over time, for each job of an experiment that has it: what a notebook would plot.

python curves.py quickstart loss
"""

import sys

import tandem

if len(sys.argv) != 3:
    sys.exit("usage: python curves.py EXPERIMENT CURVE")
frame = tandem.connect().metrics(sys.argv[1], sys.argv[2], points=200)
# A column for each job, a row for each step: `.plot()` draws it.
wide = frame.pivot_table(index="step", columns="job", values="value")
print(wide.iloc[:: max(1, len(wide) // 10)].to_string())
