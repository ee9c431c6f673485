-- Note that a kind of succeeded jobs has been pruned.
-- ?1 queue, ?2 task, ?3 whether there may be more to prune
UPDATE kinds
SET
    grown = ?3,
    next_end = (SELECT min(kept_until) FROM jobs WHERE state = SUCCEEDED AND queue = ?1 AND task = ?2)
WHERE queue = ?1 AND task = ?2
