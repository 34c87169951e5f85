-- What programs need that program-executor's workers run as well. NULL in both: they don't.
ALTER TABLE {t}
  -- The step as Executor knows it: program-executor adds to the other one late, and by itself.
  ADD COLUMN cur_step integer,
  -- 1: a job that stands again in the program shares its data with where it stood before.
  ADD COLUMN shared_keys smallint;
