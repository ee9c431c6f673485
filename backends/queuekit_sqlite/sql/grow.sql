-- Note that a kind of succeeded jobs has grown.
-- ?1 queue, ?2 task, ?3 how many are kept (NULL: all), ?4 the next end of a retention
INSERT INTO kinds (queue, task, most, next_end, grown) VALUES (?1, ?2, ?3, ?4, 1)
ON CONFLICT (queue, task) DO UPDATE
SET most = excluded.most, next_end = min(next_end, excluded.next_end), grown = 1
