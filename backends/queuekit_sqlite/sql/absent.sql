-- ?1 process
DELETE FROM presences WHERE process = ?1
