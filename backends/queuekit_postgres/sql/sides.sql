-- name: clock
SELECT queuekit.now_us()

-- name: gates
-- $1 queues text[]
SELECT queue, gate FROM queuekit.gates WHERE queue = ANY($1::text[])

-- name: gated
SELECT queue FROM queuekit.gates ORDER BY queue COLLATE "C"

-- name: turn
-- $1 queue, $2 the gate that was seen, the new one: $3 gate, $4 epoch, $5 active, $6 shut, $7 other; $8 kinds text[]
SELECT queuekit.turn(
  $1::text, $2::text, ($1::text, $3::text, $4::bigint, $5::boolean, $6::boolean, $7::text)::queuekit.gates, $8::text[]
) AS gate

-- name: holders
-- $1 queue, $2 keys text[]
SELECT coalesce((SELECT g.epoch FROM queuekit.gates g WHERE g.queue = $1::text), 0) AS epoch, h.id, h.kind, h.followed
FROM queuekit.holders($1::text, $2::text[]) AS h

-- name: census
-- $1 queue
SELECT kind, copies FROM queuekit.census($1::text)

-- name: copies
-- $1 ids uuid[], $2 queues text[]
SELECT id, queue, kind, generation, epoch, delivery, text FROM queuekit.looked($1::uuid[], $2::text[])

-- name: page_of_line
-- $1 queue, $2 code, behind a place: $3, $4; $5 limit
SELECT job, before, behind FROM queuekit.page_of_line($1::text, $2::integer, $3::bigint, $4::bigint, $5::integer)

-- name: page_failed
-- $1 queue, behind a place: $2 end of retention, $3 id; $4 limit
SELECT id, kept_until FROM queuekit.records
WHERE queue = $1::text AND state <> SUCCEEDED AND kept_until > queuekit.now_us()
  AND (kept_until, id) > ($2::bigint, $3::uuid)
ORDER BY kept_until, id
LIMIT $4::integer

-- name: page_copies
-- $1 queue, $2 kind, $3 behind an id, $4 limit
SELECT id, generation, epoch, delivery, text FROM queuekit.copies
WHERE queue = $1::text AND kind = $2::text AND id > $3::uuid
ORDER BY id
LIMIT $4::integer

-- name: hold
-- $1 ids uuid[], $2 queues text[], $3 generations integer[], $4 texts text[], $5 epoch, $6 until when
SELECT job, job_queue FROM queuekit.hold($1::uuid[], $2::text[], $3::integer[], $4::text[], $5::bigint, $6::bigint)

-- name: swap
-- $1 steps (a JSON array; see the function)
SELECT kind, generation, epoch, delivery, refused FROM queuekit.swap($1::jsonb)
