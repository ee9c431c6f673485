-- name: any_gate
SELECT 1 FROM gates LIMIT 1;

-- name: find_gate
-- ?1 queue
SELECT gate FROM gates WHERE queue = ?1;

-- name: bury
-- A tombstone, unless there is one of a later generation.
-- ?1 id, ?2 queue, ?3 generation, ?4 now
INSERT INTO copies (id, queue, kind, generation, epoch, delivery, text) VALUES (?1, ?2, 'done', ?3, 0, 0, ?4)
ON CONFLICT (id, queue) DO UPDATE
SET kind = excluded.kind, generation = excluded.generation, epoch = 0, delivery = 0, text = excluded.text
WHERE generation <= excluded.generation;
