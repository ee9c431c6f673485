-- Leases and their owners.

-- Notes that time is being moved on. After a gap nobody could renew in, jobs whose lease is shorter than three gaps
-- get a fresh one, but only once until their owner is heard again; how many did.
CREATE OR REPLACE FUNCTION queuekit.renew() RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  now bigint := queuekit.now_us();
  gap bigint;
  renewed integer;
BEGIN
  SELECT now - last_tick INTO gap FROM queuekit.meta FOR UPDATE;
  UPDATE queuekit.meta SET last_tick = now;
  UPDATE queuekit.jobs j
  SET leased_until = now + j.lease, renewed_at = now
  WHERE j.state = RUNNING AND j.lease < 3 * gap AND (j.renewed_at IS NULL OR EXISTS (
    SELECT FROM queuekit.jobs o
    WHERE o.state = RUNNING AND o.claimant = j.claimant AND o.renewed_at IS NULL AND o.leased_until - o.lease > j.renewed_at
  ));
  GET DIAGNOSTICS renewed = ROW_COUNT;
  RETURN renewed;
END
$$;
