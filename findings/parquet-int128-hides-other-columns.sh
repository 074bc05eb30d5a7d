#!/usr/bin/env bash
# Finding: one Int128 column hides all others.
#
# polars 2.1.0 writes a column of Int128 to Parquet as an integer of 128 bits. pyarrow 26.0.1 does not merely fail to
# read that column: it can't open the file, so that columns of other types can't be read either, nor even the metadata
# that say which column it is. polars reads its own file.
#
# Seen on 2026-11-29:
#   polars reads: [1, 2] ['p', 'q']
#   pyarrow, column y alone: ArrowNotImplementedError: Integers with more than 64 bits not implemented
#   pyarrow, read_metadata: ArrowNotImplementedError: Integers with more than 64 bits not implemented
# Exits with 1 if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q polars==2.1.0 pyarrow==26.0.1
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import polars
import pyarrow.parquet as parquet

polars.DataFrame({"a": [1, 2], "y": ["p", "q"]}, schema={"a": polars.Int128, "y": polars.String}).write_parquet("t.parquet")
frame = polars.read_parquet("t.parquet")
print("polars reads:", frame["a"].to_list(), frame["y"].to_list())
said = []
for what, read in (
    ("column y alone", lambda: parquet.ParquetFile("t.parquet").read(columns=["y"])),
    ("read_metadata", lambda: parquet.read_metadata("t.parquet")),
):
    try:
        read()
    except Exception as error:
        said.append(f"{type(error).__name__}: {error}")
    else:
        said.append("read")
    print(f"pyarrow, {what}:", said[-1])
sys.exit(not all("more than 64 bits" in line for line in said))
PY
