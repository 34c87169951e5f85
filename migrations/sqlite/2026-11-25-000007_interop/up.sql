-- What programs need that program-executor's workers run as well. NULL in both: they don't.
-- The step as Executor knows it: program-executor adds to the other one late, and by itself.
ALTER TABLE {t} ADD COLUMN cur_step INTEGER;
-- 1: a job that stands again in the program shares its data with where it stood before.
ALTER TABLE {t} ADD COLUMN shared_keys INTEGER;
