-- ?1 queue
DELETE FROM pauses WHERE queue = ?1
