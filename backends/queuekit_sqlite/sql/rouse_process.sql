-- ?1 process
DELETE FROM sleepers WHERE process = ?1
