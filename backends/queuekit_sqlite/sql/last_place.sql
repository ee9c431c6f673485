-- The last place in line.
SELECT max(seq) FROM jobs
