-- Kinds of which there are no succeeded jobs any more.
DELETE FROM kinds WHERE next_end IS NULL
