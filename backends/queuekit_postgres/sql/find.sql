-- A page of entries, newest ids first.
-- the filter: $1 queues text[], $2 tasks text[], $3 states smallint[], $4 tags text[], $5 since, $6 error (null: any)
-- $7 limit, the last entry of the page before: $8 id, $9 queue
SELECT * FROM queuekit.entries e
WHERE queuekit.meant(e, $1::text[], $2::text[], $3::smallint[], $4::text[], $5::bigint, $6::text)
  AND ($8::uuid IS NULL OR (e.id, e.queue) < ($8::uuid, $9::text))
ORDER BY e.id DESC, e.queue DESC LIMIT $7
