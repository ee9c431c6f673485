"""A Redis cluster: one pool of connections for each node; redis-py knows which node has which slot."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from redis.asyncio.cluster import RedisCluster
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AskError, MovedError, RedisClusterException, RedisError

from queuekit.errors import BackendUnavailable
from queuekit_redis.connection.pool import Pool, Request
from queuekit_redis.errors import unreachable

Node: TypeAlias = tuple[str, int]

MOST_REDIRECTIONS: Final = 5


class Cluster:
    """All nodes of a cluster.

    Args:
        topology: redis-py's client, used for the map of slots alone.
        make: makes a connection to a node.
        server: the cluster in messages, without a password.
        timeout: seconds until a call gives up.
    """

    one_server = False

    def __init__(
        self,
        topology: RedisCluster,
        make: Callable[[Node], AbstractConnection],
        server: str,
        timeout: float,
    ) -> None:
        self.server = server
        self._topology = topology
        self._make = make
        self._timeout = timeout
        self._pools: dict[Node, Pool] = {}
        self._outdated = True

    async def run(self, requests: Sequence[Request]) -> list[Any]:
        """Send requests to the nodes that have their keys; see `Connections`."""
        await self._learn()
        by_node: dict[Node, list[int]] = defaultdict(list)
        for index, request in enumerate(requests):
            by_node[self._node(request.key)].append(index)
        answers: list[Any] = [None] * len(requests)

        async def run_at(node: Node, indices: list[int]) -> None:
            found = await self._pool(node).run([requests[index] for index in indices])
            for index, answer in zip(indices, found, strict=True):
                answers[index] = await self._redirected(requests[index], answer)

        try:
            await asyncio.gather(*(run_at(*item) for item in by_node.items()))
        except BackendUnavailable:
            self._outdated = True
            raise
        return answers

    async def connect(self) -> AbstractConnection:
        """A connection to any node; see `Connections`."""
        await self._learn()
        node = self._topology.get_random_node()
        return await self._pool((node.host, int(node.port))).connect()

    async def close(self) -> None:
        """Close all connections."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.close()
        await self._topology.aclose()
        self._outdated = True

    async def _learn(self) -> None:
        """Ask for the map of slots, if it is not known to be right."""
        if not self._outdated:
            return
        try:
            async with asyncio.timeout(self._timeout):
                await self._topology.aclose()
                await self._topology.initialize()
        except (RedisError, RedisClusterException, OSError) as error:
            raise unreachable(error, self.server) from error
        self._outdated = False

    def _node(self, key: str) -> Node:
        try:
            node = self._topology.get_node_from_key(key)
        except (RedisError, RedisClusterException, KeyError) as error:
            raise unreachable(error, self.server) from error
        if node is None:
            raise BackendUnavailable(f"No node of {self.server} has the slot of {key}.")
        return node.host, int(node.port)

    def _pool(self, node: Node) -> Pool:
        if node not in self._pools:
            server = f"{node[0]}:{node[1]}"
            self._pools[node] = Pool(lambda: self._make(node), server, self._timeout)
        return self._pools[node]

    async def _redirected(self, request: Request, answer: Any) -> Any:
        """The answer of the node that has the slot by now."""
        for _ in range(MOST_REDIRECTIONS):
            if not isinstance(answer, AskError):
                break
            self._outdated |= isinstance(answer, MovedError)
            pool = self._pool((answer.host, answer.port))
            _, answer = await pool.run([Request(request.key, ("ASKING",)), request])
        return answer
