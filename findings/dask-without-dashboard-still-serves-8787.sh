#!/usr/bin/env bash
# Finding: a local Dask cluster that was told to have no dashboard takes port 8787 all the same.
#
# distributed 2026.8.0 documents dashboard_address=None as "don't start the dashboard". The scheduler then starts its
# HTTP server nevertheless, and at the dashboard's default port: a second cluster on the machine warns that 8787 is
# taken, and dashboard_link names a page. Only ":0" (any free port) lets two clusters live side by side without a word.
#
# Seen on 2026-11-29:
#   None: the first at 8787, the second elsewhere; 1 warning of the port
#   ':0': both elsewhere; 0 warnings of the port
# Exits with 1 if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q distributed==2026.8.0
cd "$folder"
cat > clusters.py <<'PY'
import sys
import warnings

from distributed import LocalCluster


def ports(address):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with (
            LocalCluster(n_workers=0, processes=False, dashboard_address=address) as first,
            LocalCluster(n_workers=0, processes=False, dashboard_address=address) as second,
        ):
            found = first.scheduler.http_server.port, second.scheduler.http_server.port
    return found, sum("is already in use" in str(w.message) for w in caught)


if __name__ == "__main__":
    (first, second), warned = ports(None)
    print(f"None: the first at {first}, the second at {second}; {warned} warnings of the port")
    free, quiet = ports(":0")
    print(f"':0': at {free[0]} and {free[1]}; {quiet} warnings of the port")
    # Where another program holds 8787, the first one warns too.
    sys.exit(not (warned >= 1 and 8787 not in free and quiet == 0))
PY
"$folder/venv/bin/python" clusters.py
