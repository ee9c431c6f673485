-- ?1 now
INSERT INTO ticks (last) VALUES (?1)
