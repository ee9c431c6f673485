-- Stores any jobs, one after the other.
-- $1 ids uuid[], $2 tasks text[], $3 payloads text[], $4 keys text[], $5 fresh boolean[], $6 options text[] (JSON),
-- $7 patient boolean (false in a caller's own transaction)
SELECT kind, state, holder
FROM queuekit.store_all($1::uuid[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::text[], $7::boolean)
