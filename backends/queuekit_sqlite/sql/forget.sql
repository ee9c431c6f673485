-- ?1 seq
DELETE FROM jobs WHERE seq = ?1
