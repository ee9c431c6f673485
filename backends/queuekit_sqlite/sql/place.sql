-- Put a job that does not run into (or back into) line.
-- ?1 seq, ?2 new seq, ?3 state, ?4 scheduled_at (NULL: unchanged)
UPDATE jobs
SET
    seq = ?2, state = ?3, scheduled_at = coalesce(?4, scheduled_at), leased_until = NULL, lease = NULL, claimant = NULL,
    claim = NULL, renewed_at = NULL, predecessor = NULL
WHERE seq = ?1
