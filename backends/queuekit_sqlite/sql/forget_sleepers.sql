-- ?1 now
DELETE FROM sleepers WHERE until <= ?1
