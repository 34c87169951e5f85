ALTER TABLE {t} DROP COLUMN shared_keys, DROP COLUMN cur_step;
