-- ?1 process, ?2 address, ?3 queues, ?4 until
INSERT INTO sleepers (process, address, queues, until) VALUES (?1, ?2, ?3, ?4) RETURNING seq
