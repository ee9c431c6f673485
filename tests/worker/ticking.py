"""An app with schedules, run by real workers in `test_schedules`; the settings come from the environment."""

from queuekit import Queuekit, every

qk = Queuekit()


@qk.schedule(every(1), misfire="all")
@qk.schedule("* * * * * *", name="in-berlin", timezone="Europe/Berlin", misfire="all")
@qk.task(keep=600)
async def tick() -> None: ...
