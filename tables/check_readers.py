#!/usr/bin/env python3
"""Reads what tandem-tables has written with pandas, polars and DuckDB, and compares values and types.

python3 -m venv venv && venv/bin/pip install pandas polars duckdb pyarrow
venv/bin/python tables/check_readers.py
"""

import json
import math
import pathlib
import subprocess
import tempfile

import duckdb
import pandas
import polars

ROOT = pathlib.Path(__file__).resolve().parent.parent
AT = "2025-11-24 16:00:00.123456+00:00"
JOB = '=1+1, "x"\n|&'


def check(what, found, expected):
    assert found == expected, f"{what}: {found!r} is not {expected!r}"
    print(f"ok  {what}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        command = ["cargo", "run", "--quiet", "-p", "tandem-tables", "--example", "sample", "--", folder]
        subprocess.run(command, cwd=ROOT, check=True)
        folder = pathlib.Path(folder)
        parquet, csv = folder / "sample.parquet", folder / "sample.csv"

        frame = pandas.read_parquet(parquet, dtype_backend="numpy_nullable")
        types = [str(kind) for kind in frame.dtypes]
        check("pandas, Parquet: types", types[1:4], ["Int64", "Float64", "boolean"])
        check("pandas, Parquet: time", (types[4], str(frame["at"][0])), ("datetime64[us, UTC]", AT))
        check("pandas, Parquet: text", list(frame["job"].fillna("-")), [JOB, "-", "größe λ"])
        check("pandas, Parquet: integer", (frame["step"][0], frame["step"].isna().sum()), (1 << 60, 1))

        frame = polars.read_parquet(parquet)
        kinds = [polars.String, polars.Int64, polars.Float64, polars.Boolean, polars.Datetime("us", "UTC")]
        check("polars, Parquet: types", frame.dtypes, kinds)
        check("polars, Parquet: text", frame["job"].to_list(), [JOB, None, "größe λ"])
        loss = frame["loss"].to_list()
        check("polars, Parquet: numbers", (loss[0], math.isnan(loss[1]), loss[2]), (0.1, True, None))

        described = duckdb.sql(f"DESCRIBE SELECT * FROM '{parquet}'").fetchall()
        kinds = ["VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "TIMESTAMP WITH TIME ZONE"]
        check("DuckDB, Parquet: types", [row[1] for row in described], kinds)
        rows = duckdb.sql(f"SELECT job, step, is_best FROM '{parquet}'").fetchall()
        check("DuckDB, Parquet: rows", rows, [(JOB, 1 << 60, True), (None, -1, None), ("größe λ", None, False)])

        frame = pandas.read_csv(csv, dtype_backend="numpy_nullable", parse_dates=["at"])
        check("pandas, CSV: text", list(frame["job"].fillna("-")), ["'" + JOB, "-", "größe λ"])
        check("pandas, CSV: types", [str(kind) for kind in frame.dtypes[1:4]], ["Int64", "Float64", "boolean"])
        check("pandas, CSV: time", str(frame["at"][0]), AT)
        check("polars, CSV: integer", polars.read_csv(csv)["step"].to_list(), [1 << 60, -1, None])
        rows = duckdb.sql(f"SELECT step, loss FROM read_csv('{csv}')").fetchall()
        check("DuckDB, CSV: rows", (rows[0], rows[1][0], rows[2]), ((1 << 60, 0.1), -1, (None, None)))

        rows = json.loads((folder / "sample.json").read_text())
        check("JSON", (rows[0]["job"], rows[1]["loss"], rows[2]["is_best"]), (JOB, None, False))


if __name__ == "__main__":
    main()
