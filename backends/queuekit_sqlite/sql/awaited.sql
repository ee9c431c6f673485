-- ?1 now
SELECT id, queue FROM waiters WHERE until > ?1
