-- ?1 a JSON array of seqs, ?2 now, ?3 process, ?4 number, ?5 lease
UPDATE jobs
SET
    state = RUNNING,
    attempt = attempt + 1,
    delivery = max(delivery + 1, ?2 / 1000),
    started_at = ?2,
    lease = coalesce(own_lease, ?5),
    leased_until = ?2 + coalesce(own_lease, ?5),
    claimant = ?3,
    claim = ?4,
    renewed_at = NULL
WHERE seq IN (SELECT value FROM json_each(?1))
