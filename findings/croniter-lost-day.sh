#!/usr/bin/env bash
# What becomes of a cron expression with both a day of month and a weekday, one of which is a special one?
#
# Version: croniter 7.0.0.
# Input: midnight on two kinds of days, asked on 1 January 2026. If both fields are given, a day that fits either counts.
# Behaviour: with plain values both count, and with "L", the last day of the month. A day of month is lost beside "5#2"
#   (the second Friday), and a weekday beside "15W" (the working day next to the 15th). A day of month beside "L5" (the
#   last Friday) is an expression that is taken, and has no time at all.
# Why it matters: half of the runs that somebody has asked for never come.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check \
  croniter==7.0.0 python-dateutil==4.0.0 pytz==2026.6 || exit 2

cat >"$folder/ask.py" <<'PYTHON'
from datetime import datetime

from croniter import CroniterBadDateError, croniter

for days in "13 * 5", "13 * 5#2", "L * 1", "15W * 1", "13 * L5":
    times = croniter(f"0 0 {days}", datetime(2026, 1, 1))
    try:
        found = [f"{times.get_next(datetime):%m-%d}" for _ in range(5)]
    except CroniterBadDateError:
        found = ["no time at all"]
    print(f"{days:9}", *found)
PYTHON

diff - <("$folder/bin/python" "$folder/ask.py") <<'SEEN'
13 * 5    01-02 01-09 01-13 01-16 01-23
13 * 5#2  01-09 02-13 03-13 04-10 05-08
L * 1     01-05 01-12 01-19 01-26 01-31
15W * 1   01-15 02-16 03-16 04-15 05-15
13 * L5   no time at all
SEEN
