"""How fast a worker begins jobs: that bounds what it claims in advance."""


class Pace:
    """Estimates job starts per second.

    While claimed jobs wait for slots, it is how fast they begin. When none wait, at least as fast as jobs end.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self._begun = 0
        self._begins: float | None = None
        self._seen_at, self._seen, self._ends = 0.0, 0, 0.0

    def filled(self, now: float) -> None:
        """There are claimed jobs that have no slot."""
        if self._since is None:
            self._since, self._begun = now, 0

    def begun(self) -> None:
        """One of them has begun."""
        self._begun += 1

    def emptied(self, now: float) -> None:
        """There are none any more: the last has begun, or they were given back."""
        if self._since is not None:
            self._begins = self._begun / max(now - self._since, 1e-6)
            self._since = None

    def per_second(self, now: float, done: int) -> float | None:
        """Jobs per second, of which `done` have ended ever; None: nothing is known yet."""
        passed = now - self._seen_at
        if passed > 0.01:
            self._ends = (done - self._seen) / passed
            self._seen_at, self._seen = now, done
        if self._since is not None and self._begun:
            return self._begun / max(now - self._since, 1e-6)
        return None if self._begins is None else max(self._begins, self._ends)
