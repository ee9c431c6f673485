-- $1 process
SELECT queue, id, delivery, seq, claim FROM queuekit.jobs WHERE state = RUNNING AND claimant = $1 ORDER BY claim, seq
