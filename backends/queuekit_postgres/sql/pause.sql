-- $1 queues text[]
INSERT INTO queuekit.queues (name, paused) SELECT DISTINCT name, true FROM unnest($1::text[]) AS q (name)
ON CONFLICT (name) DO UPDATE SET paused = true
