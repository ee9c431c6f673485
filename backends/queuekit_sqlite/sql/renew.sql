-- After an outage: a fresh lease for jobs whose lease is shorter than three times the gap.
-- ?1 now, ?2 the gap since the last tick
UPDATE jobs SET leased_until = ?1 + lease, renewed = 1
WHERE code = 6 AND renewed = 0 AND lease < 3 * ?2
