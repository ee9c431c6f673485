-- Sets whether queues are paused; rings sleepers of those that are not.
-- $1 queues text[], $2 paused
WITH known AS (
  INSERT INTO queuekit.queues (name, paused) SELECT DISTINCT name, $2::boolean FROM unnest($1::text[]) AS q (name)
  ON CONFLICT (name) DO UPDATE SET paused = excluded.paused
)
SELECT CASE WHEN NOT $2::boolean THEN queuekit.ring($1::text[], 1000000) END
