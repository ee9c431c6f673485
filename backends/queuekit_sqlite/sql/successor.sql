-- ?1 queue, ?2 id of the predecessor
SELECT seq FROM jobs WHERE predecessor IS NOT NULL AND predecessor = ?2 AND queue = ?1
