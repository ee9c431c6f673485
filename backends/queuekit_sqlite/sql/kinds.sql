-- Kinds of succeeded jobs of which some may have to go.
-- ?1 now
SELECT queue, task, coalesce(most, -1) FROM kinds WHERE grown = 1 OR next_end <= ?1
