-- ?1 seq
SELECT progress, logs FROM jobs WHERE seq = ?1
