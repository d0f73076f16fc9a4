"""The same results in polars and DuckDB, each by its own reader of Parquet, with the types that pandas sees.

pip install polars duckdb
python other_frames.py "stage = 'linear'"
"""

import io
import sys
import tempfile

import duckdb
import polars

import tandem

where = sys.argv[1] if len(sys.argv) > 1 else ""
lab = tandem.connect()
answer = lab._answer("GET", "/results.parquet", params={"where": where}).content
in_pandas = lab.results(where)
in_polars = polars.read_parquet(io.BytesIO(answer))
with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
    file.write(answer)
    file.flush()
    in_duckdb = duckdb.sql(f"SELECT * FROM '{file.name}'")
    types = dict(zip(in_duckdb.columns, map(str, in_duckdb.types), strict=True))
    rows = len(in_duckdb.fetchall())
print(f"{len(in_pandas)} rows in pandas, {in_polars.height} in polars, {rows} in DuckDB")
for name in in_polars.columns:
    print(f"{name:16} {in_pandas[name].dtype!s:24} {in_polars[name].dtype!s:36} {types[name]}")
sys.exit(len({len(in_pandas), in_polars.height, rows}) != 1)
