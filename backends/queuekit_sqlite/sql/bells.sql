-- Where to ring a process.
-- ?1 process
SELECT address FROM sleepers WHERE process = ?1
UNION
SELECT address FROM presences WHERE process = ?1
