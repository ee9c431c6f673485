-- name: transfer
-- Stores whole jobs from elsewhere; gives those that were refused, with their places.
-- $1 jobs (a JSON array; see rows.py)
SELECT * FROM queuekit.transfer($1::jsonb)
