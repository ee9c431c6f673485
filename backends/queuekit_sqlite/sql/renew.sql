-- After an outage: a fresh lease for jobs whose lease is shorter than three times the gap; a second one only if their
-- owner was heard meanwhile, by a heartbeat or a claim.
-- ?1 now, ?2 the gap since the last tick
UPDATE jobs SET leased_until = ?1 + lease, renewed_at = ?1
FROM (
    SELECT claimant, max(leased_until - lease) FILTER (WHERE renewed_at IS NULL) AS heard_at FROM jobs
    WHERE state = RUNNING
    GROUP BY claimant
) AS owner
WHERE jobs.state = RUNNING AND owner.claimant = jobs.claimant AND jobs.lease < 3 * ?2
    AND (jobs.renewed_at IS NULL OR jobs.renewed_at < owner.heard_at)
