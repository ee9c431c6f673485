#!/usr/bin/env bash
# Which hours does croniter read in a range that goes over midnight, with a step?
#
# Version: croniter 7.0.0.
# Input: ranges of hours that end before they begin, which croniter takes, with and without a step.
# Behaviour: without a step such a range goes on behind midnight. With one the steps begin anew somewhere behind it:
#   "22-6/3" is 22, 2 and 5 o'clock, where counting on by three gives 22, 1 and 4; of "23-1/2" only 23 o'clock is left.
# Why it matters: a job "every three hours in the night" runs at other hours than a reader counts, and nothing says so.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check \
  croniter==7.0.0 python-dateutil==4.0.0 pytz==2026.6 || exit 2

cat >"$folder/ask.py" <<'PYTHON'
from croniter import croniter

for hours in "22-6", "22-6/3", "20-4/5", "23-1/2":
    print(f"{hours:7}", *croniter.expand(f"0 {hours} * * *")[0][1])
PYTHON

diff - <("$folder/bin/python" "$folder/ask.py") <<'SEEN'
22-6    0 1 2 3 4 5 6 22 23
22-6/3  2 5 22
20-4/5  2 20
23-1/2  23
SEEN
