-- ?1 now
DELETE FROM keys WHERE until <= ?1
