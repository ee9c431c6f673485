#!/usr/bin/env bash
# How often does "@daily" come if croniter is told that seconds stand first?
#
# Version: croniter 7.0.0.
# Input: the alias "@daily" with each combination of two options: `hash_id`, which spreads aliases by a name, and
#   `second_at_beginning`, which says that expressions of six fields begin with seconds.
# Behaviour: each option alone leaves it a time of the day. Both together make it hourly on one day of the week: the
#   fields that the alias stands for end with seconds, and are read as if they began with them.
# Why it matters: a job of once a day runs 24 times on one day, and not at all on six.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check \
  croniter==7.0.0 python-dateutil==4.0.0 pytz==2026.6 || exit 2

cat >"$folder/ask.py" <<'PYTHON'
from datetime import datetime

from croniter import croniter

for options in {}, {"hash_id": "report"}, {"second_at_beginning": True}, {"hash_id": "report", "second_at_beginning": True}:
    times = croniter("@daily", datetime(2026, 6, 1), **options)
    print(*(f"{times.get_next(datetime):%d %H:%M:%S}" for _ in range(3)), *options, sep="  ")
PYTHON

diff - <("$folder/bin/python" "$folder/ask.py") <<'SEEN'
02 00:00:00  03 00:00:00  04 00:00:00
01 10:44:20  02 10:44:20  03 10:44:20  hash_id
02 00:00:00  03 00:00:00  04 00:00:00  second_at_beginning
06 00:44:20  06 01:44:20  06 02:44:20  hash_id  second_at_beginning
SEEN
