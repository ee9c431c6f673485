-- A key that is kept until a moment stays.
-- ?1 queue, ?2 key, ?3 id
DELETE FROM keys WHERE queue = ?1 AND key = ?2 AND id = ?3 AND until IS NULL
