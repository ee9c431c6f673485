-- How a job's last settled run was settled.
-- ?1 id, ?2 queue
SELECT settled, settled_delivery, state FROM jobs WHERE id = ?1 AND queue = ?2
UNION ALL
SELECT settled, settled_delivery, state FROM ids WHERE id = ?1 AND queue = ?2
