"""Whom a transaction rings: those who sleep until there is work, and those who wait for a job's end."""

from typing import TYPE_CHECKING

from queuekit.job import JobRef
from queuekit_sqlite.doorbell.sockets import Bell, of_job, of_process

if TYPE_CHECKING:  # a transaction keeps the bells that it will ring
    from queuekit_sqlite.connection import Transaction


def ring_sleepers(tx: "Transaction") -> None:
    """Ring who sleeps until one of the queues that got work has some. A busy system has no sleepers."""
    if not tx.got_work:
        return
    for seq, process, address, wanted in tx.all("find_sleepers"):
        if not tx.got_work.isdisjoint(wanted.split("\n")):
            tx.run("remove_sleeper", seq)
            tx.bells.add(Bell(address, of_process(process)))


def ring_process(tx: "Transaction", process: str) -> None:
    """Ring a process."""
    addresses = tx.all("find_bells", process)
    tx.run("remove_sleepers_of", process)
    tx.bells.update(Bell(address, of_process(process)) for (address,) in addresses)


def tell_waiters(tx: "Transaction", ref: JobRef) -> None:
    """Ring who waits for a job's end."""
    addresses = tx.all("find_waiters", ref.id.bytes, ref.queue, tx.now)
    if addresses:
        tx.run("remove_waiters", ref.id.bytes, ref.queue)
        tx.bells.update(Bell(address, of_job(ref.id)) for (address,) in addresses)


def is_awaited(tx: "Transaction", ref: JobRef) -> bool:
    """Whether somebody waits for a job's end."""
    return tx.one("find_waiters", ref.id.bytes, ref.queue, tx.now) is not None


def find_awaited(tx: "Transaction") -> set[tuple[bytes, str]]:
    """Ids and queues of the jobs for whose end somebody waits."""
    return {(id_, queue) for id_, queue in tx.all("find_awaited", tx.now)}
