-- Which tokens were settled just so before; gives their places in the arrays.
-- $1 ids uuid[], $2 queues text[], $3 deliveries bigint[], $4 how smallint[] (see the schema's `settled`)
SELECT t.n
FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::smallint[]) WITH ORDINALITY AS t (id, queue, delivery, how, n)
CROSS JOIN LATERAL (
  (SELECT 1 FROM queuekit.jobs j
  WHERE j.id = t.id AND j.queue = t.queue AND j.settled_delivery = t.delivery AND j.settled = t.how LIMIT 1)
  UNION ALL
  (SELECT 1 FROM queuekit.records r
  WHERE r.id = t.id AND r.queue = t.queue AND r.settled_delivery = t.delivery AND r.settled = t.how LIMIT 1)
  LIMIT 1
) AS hit
