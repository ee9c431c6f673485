-- $1 process
SELECT queue, id, delivery, seq, claim FROM queuekit.jobs WHERE state = 2 AND claimant = $1 ORDER BY claim, seq
