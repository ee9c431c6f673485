-- ?1 now
DELETE FROM presences WHERE until <= ?1
