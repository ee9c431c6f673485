-- ?1 queue
INSERT OR IGNORE INTO pauses (queue) VALUES (?1)
