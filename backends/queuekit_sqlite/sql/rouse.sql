-- ?1 seq
DELETE FROM sleepers WHERE seq = ?1
