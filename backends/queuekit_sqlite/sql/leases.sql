-- ?1 process
SELECT queue, id, delivery, seq, key IS NOT NULL OR keep_age IS NOT NULL, number FROM jobs
WHERE code = 6 AND process = ?1
