-- What is noted of a job: errors and history, the last NOTES_KEPT of each.

-- An error's JSON object with the time it was recorded; spliced, because nothing may re-encode it.
CREATE OR REPLACE FUNCTION queuekit.stamped(error text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT '{"at":' || queuekit.now_us() || ',' || substr(ltrim(error), 2)
$$;

CREATE OR REPLACE FUNCTION queuekit.event(name text, delivery bigint) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT '{"event":"' || name || '","at":' || queuekit.now_us() || ',"delivery":' || delivery || '}'
$$;

-- What the history says of a run that was settled so, or lapsed (null); nothing if an error or a state tells of it.
CREATE OR REPLACE FUNCTION queuekit.event_of(how smallint, delivery bigint) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT queuekit.event(
    CASE
      WHEN how IS NULL THEN 'lapse' WHEN how = SNOOZED THEN 'snooze' WHEN how = RELEASED THEN 'release'
      WHEN how = DIED THEN 'death'
    END,
    delivery
  )
$$;

-- A list with one more element (unless it is null), cut to the last NOTES_KEPT.
CREATE OR REPLACE FUNCTION queuekit.noted(list text[], element text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN element IS NULL THEN list ELSE (list || element)[greatest(1, cardinality(list) + 2 - NOTES_KEPT):] END
$$;

-- An error as people read it; as it is stored if it can't be read, so that no job spoils the search for others.
CREATE OR REPLACE FUNCTION queuekit.shown(error text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN (error::json ->> 'type') || ': ' || (error::json ->> 'message');
EXCEPTION WHEN data_exception THEN
  RETURN error;
END
$$;
