-- ?1 now
DELETE FROM waiters WHERE until <= ?1
