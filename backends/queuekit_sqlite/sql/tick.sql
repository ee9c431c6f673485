-- ?1 now
UPDATE ticks SET last = ?1
