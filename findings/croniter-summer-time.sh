#!/usr/bin/env bash
# When does croniter run a daily job at the two ends of summer time?
#
# Versions: croniter 6.0.0 and 7.0.0, and cronsim 2.8 to compare with.
# Input: "30 2 * * *", asked the day before, with an aware datetime of Europe/Berlin. In 2025 there is no 02:30 on 30
#   March, and there are two on 26 October.
# Behaviour: croniter 7.0.0 runs the job twice on 26 October, an hour apart. croniter 6.0.0 runs it once, but on the
#   day after, on which no clock is changed, it is an hour late; and on 30 March it names a time that no clock shows.
#   cronsim does what Debian's cron promises: a job with a fixed hour runs once at each end.
# Why it matters: schedules run at other times after an upgrade, and a job of once a day is not of once a day.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
install() { "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@" || exit 2; }
install cronsim==2.8 python-dateutil==4.0.0 pytz==2026.6 tzdata==2026.6

cat >"$folder/ask.py" <<'PYTHON'
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

from croniter import croniter
from cronsim import CronSim

for day in datetime(2025, 3, 29), datetime(2025, 10, 25):
    noon = day.replace(hour=12, tzinfo=ZoneInfo("Europe/Berlin"))
    for name, times in (
        ("croniter", croniter("30 2 * * *", noon).all_next(datetime)),
        ("cronsim", CronSim("30 2 * * *", noon)),
    ):
        print(f"{name:8}", *(time.isoformat(" ", "minutes") for time in islice(times, 3)), sep="  ")
PYTHON

for version in 6.0.0 7.0.0; do
  install croniter==$version
  echo "croniter==$version"
  PYTHONTZPATH='' "$folder/bin/python" "$folder/ask.py"
done >"$folder/seen"

diff - "$folder/seen" <<'SEEN'
croniter==6.0.0
croniter  2025-03-30 02:30+01:00  2025-03-31 02:30+02:00  2025-04-01 02:30+02:00
cronsim   2025-03-30 03:00+02:00  2025-03-31 02:30+02:00  2025-04-01 02:30+02:00
croniter  2025-10-26 02:30+02:00  2025-10-27 03:30+01:00  2025-10-28 02:30+01:00
cronsim   2025-10-26 02:30+02:00  2025-10-27 02:30+01:00  2025-10-28 02:30+01:00
croniter==7.0.0
croniter  2025-03-30 03:00+02:00  2025-03-31 02:30+02:00  2025-04-01 02:30+02:00
cronsim   2025-03-30 03:00+02:00  2025-03-31 02:30+02:00  2025-04-01 02:30+02:00
croniter  2025-10-26 02:30+02:00  2025-10-26 02:30+01:00  2025-10-27 02:30+01:00
cronsim   2025-10-26 02:30+02:00  2025-10-27 02:30+01:00  2025-10-28 02:30+01:00
SEEN
