#!/usr/bin/env bash
# How often does APScheduler run a daily job in the night in which clocks are set back?
#
# Versions: APScheduler 3.11.3, and cronsim 2.8 to compare with.
# Input: the crontab "30 2 * * *" in Europe/Berlin. In 2026 there is no 02:30 on 29 March, and there are two on
#   25 October. The trigger is asked as its scheduler does: with the time of the last run, a moment after that.
# Behaviour: the job runs twice on 25 October, an hour apart; and on 29 March at a time that no clock shows, 02:30+01:00,
#   which is 03:30 by then. cronsim does what Debian's cron promises: a job with a fixed hour runs once at each end, at once after a leap.
# Why it matters: who moves nightly jobs from cron runs one of them twice a year.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check \
  apscheduler==3.11.3 cronsim==2.8 tzlocal==5.3.1 tzdata==2026.6 || exit 2

cat >"$folder/ask.py" <<'PYTHON'
from datetime import datetime, timedelta, timezone
from itertools import islice
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from cronsim import CronSim

berlin = ZoneInfo("Europe/Berlin")
trigger = CronTrigger.from_crontab("30 2 * * *", timezone=berlin)


def runs(last):
    while True:
        now = (last.astimezone(timezone.utc) + timedelta(milliseconds=5)).astimezone(berlin)
        last = trigger.get_next_fire_time(last, now)
        yield last


for day in datetime(2026, 3, 28, 2, 30), datetime(2026, 10, 24, 2, 30):
    before = day.replace(tzinfo=berlin)
    for name, times in ("apscheduler", runs(before)), ("cronsim", CronSim("30 2 * * *", before)):
        print(f"{name:11}", *(time.isoformat(" ", "minutes") for time in islice(times, 3)), sep="  ")
PYTHON
PYTHONTZPATH='' "$folder/bin/python" "$folder/ask.py" >"$folder/seen"

diff - "$folder/seen" <<'SEEN'
apscheduler  2026-03-29 02:30+01:00  2026-03-30 02:30+02:00  2026-03-31 02:30+02:00
cronsim      2026-03-29 03:00+02:00  2026-03-30 02:30+02:00  2026-03-31 02:30+02:00
apscheduler  2026-10-25 02:30+02:00  2026-10-25 02:30+01:00  2026-10-26 02:30+01:00
cronsim      2026-10-25 02:30+02:00  2026-10-26 02:30+01:00  2026-10-27 02:30+01:00
SEEN
