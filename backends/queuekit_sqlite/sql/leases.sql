-- ?1 process
SELECT queue, id, delivery, seq, key IS NOT NULL OR keep_age IS NOT NULL, claim FROM jobs
WHERE state = RUNNING AND claimant = ?1
