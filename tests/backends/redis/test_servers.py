"""A whole life on each kind of server, alone, behind sentinels and in a cluster."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from queuekit.backend import Ask, Backend
from queuekit.errors import BackendRefused, BackendUnavailable, InvalidOption, ReplyLost
from queuekit.job import Claimant, State
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    DONE,
    LONG,
    STORED,
    ack,
    answer_of,
    answers_of,
    claim,
    claim_one,
    eventually,
    failed,
    give_back,
    job,
    numbered,
    put,
    record,
    retried,
    succeeded,
)
from queuekit.testing.servers import RedisKind, Server, _free_port, _redis_binary, redis_server
from tests.backends.redis.kinds import KINDS

Make = Callable[..., Awaitable[Backend]]
SLOTS = 16384


async def live(backend: Backend) -> None:
    """Enqueue, wake, claim, retry, finish, look, run again."""
    sleep = asyncio.create_task(backend.wait(["default"], 20, "sleeper"))
    await asyncio.sleep(0.05)
    await put(backend, *numbered(1500), job(key="k", delay=1, tags=("t",)))
    await asyncio.wait_for(sleep, 5)
    claims = await claim(backend, 1501)
    await give_back(backend, retried(claims[0]))
    again = await claim_one(backend)
    assert again.attempt == 2
    waiter = asyncio.create_task(backend.results([again.token.ref], 20))
    await asyncio.sleep(0.05)
    await ack(backend, failed(again), *map(succeeded, claims[1:]))
    found = await asyncio.wait_for(waiter, 5)
    assert found[again.token.ref].state is State.FAILED
    assert (await backend.inspector.steer(Event.RERUN, [again.token.ref]))[0].done
    assert (await record(backend, again.token.id)).life.generation == 1
    await backend.maintain(["default"])
    fetched = await backend.fetch(Ask(["other", "default"], 9, Claimant("p", 1), LONG))
    assert [one.token.id for one in fetched.claims] == [again.token.id]
    assert [held.number for held in await backend.leases("p")] == [1]


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind(kind: RedisKind, make_backend: Make) -> None:
    with redis_server(kind=kind, own=True) as server:
        await live(await make_backend(server.url))


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Two nodes, half of the slots each."""
    with ExitStack() as servers:
        nodes = [
            servers.enter_context(redis_server(own=True, args=("--cluster-enabled", "yes")))
            for _ in range(2)
        ]
        ports = [urlsplit(node.url).port for node in nodes]
        clients = [servers.enter_context(redis.Redis.from_url(node.url)) for node in nodes]
        for number, client in enumerate(clients):
            first, last = number * SLOTS // 2, (number + 1) * SLOTS // 2 - 1
            client.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
        clients[0].execute_command("CLUSTER MEET", "127.0.0.1", ports[1])
        while not all(is_whole(client) for client in clients):
            time.sleep(0.05)
        yield f"redis+cluster://127.0.0.1:{ports[0]}"


def is_whole(client: redis.Redis) -> bool:
    found: Any = client.execute_command("CLUSTER INFO")  # type: ignore[no-untyped-call]
    return bool(found["cluster_state"] == "ok")


async def test_a_cluster(cluster: str, make_backend: Make) -> None:
    backend = await make_backend(cluster)
    await live(backend)
    queues = [f"q{number}" for number in range(10)]
    jobs = [job(queue=queue) for queue in queues]
    await put(backend, *jobs)
    claims = await claim(backend, 10, queues=queues)
    assert {one.token.id for one in claims} == {one.id for one in jobs}
    assert answers_of(await backend.ack([succeeded(one) for one in claims])) == [DONE] * 10
    assert {info.name for info in await backend.inspector.queues()} == {*queues, "default"}


async def test_a_cluster_has_no_transaction_over_queues(cluster: str, make_backend: Make) -> None:
    backend = await make_backend(cluster)
    with pytest.raises(InvalidOption, match="atomic=False"):
        await backend.enqueue([job(queue="a"), job(queue="b")], atomic=True)
    answers = await backend.enqueue(numbered(3), atomic=True)
    assert [answer_of(answer) for answer in answers] == [STORED] * 3


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Server, Server]]:
    """A master and its replica."""
    with redis_server(own=True) as master:
        port = str(urlsplit(master.url).port)
        with redis_server(own=True, args=("--replicaof", "127.0.0.1", port)) as replica:
            yield master, replica


@pytest.fixture
def sentinel(pair: tuple[Server, Server], tmp_path: Path) -> Iterator[str]:
    """A sentinel that watches the pair, and fails over at once."""
    master, _ = pair
    port = _free_port()
    (tmp_path / "sentinel.conf").write_text(
        f"port {port}\nbind 127.0.0.1\nsentinel monitor jobs 127.0.0.1 {urlsplit(master.url).port} 1\n"
        "sentinel down-after-milliseconds jobs 300\nsentinel failover-timeout jobs 1000\n"
    )
    command = [str(_redis_binary("redis")), str(tmp_path / "sentinel.conf"), "--sentinel"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        yield f"redis+sentinel://127.0.0.1:{port}/jobs"
        process.kill()


async def test_a_failover_is_followed(
    pair: tuple[Server, Server], sentinel: str, make_backend: Make
) -> None:
    master, replica = pair
    backend = await eventually(lambda: opened(make_backend, sentinel))
    assert backend is not None
    await eventually(lambda: is_linked(replica))
    with redis.Redis.from_url(
        sentinel.replace("redis+sentinel", "redis").replace("/jobs", "")
    ) as it:
        while replicas_known(it) == 0:
            await asyncio.sleep(0.05)
    one = job(replicated=True)
    await put(backend, one)
    await asyncio.to_thread(master.kill)

    async def served() -> bool:
        try:
            return (await record(backend, one.id)).state is State.READY
        except BackendUnavailable:
            return False

    await eventually(served)
    assert (await claim_one(backend)).token.id == one.id


def replicas_known(sentinel: redis.Redis) -> int:
    found: Any = sentinel.sentinel_master("jobs")
    return int(found["num-slaves"])


async def opened(make_backend: Make, url: str) -> Backend | None:
    try:
        return await make_backend(url)
    except BackendUnavailable:
        return None


async def is_linked(replica: Server) -> bool:
    with redis.Redis.from_url(replica.url) as client:
        return bool(client.info("replication")["master_link_status"] == "up")


async def test_replicated_jobs_are_on_the_replica(
    pair: tuple[Server, Server], make_backend: Make, namespace: str
) -> None:
    master, replica = pair
    backend = await make_backend(master.url)
    await eventually(lambda: is_linked(replica))
    await put(backend, job(replicated=True))
    with redis.Redis.from_url(replica.url) as client:
        assert client.hlen(f"{{{namespace}:default}}:jobs") == 1


async def test_without_a_replica_nobody_knows(redis_url: str, make_backend: Make) -> None:
    backend = await make_backend(redis_url, timeout=2.0)
    one = job(replicated=True)
    with pytest.raises(ReplyLost, match="replica"):
        await backend.enqueue([one])
    assert (await record(backend, one.id)).state is State.READY


async def test_a_replica_takes_no_jobs(pair: tuple[Server, Server], make_backend: Make) -> None:
    _, replica = pair
    await eventually(lambda: is_linked(replica))
    backend = await make_backend(replica.url)
    with pytest.raises(BackendRefused, match="read only"):
        await backend.enqueue([job()])
