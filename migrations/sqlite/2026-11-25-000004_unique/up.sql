-- Keys of which no second program is created before a time, in milliseconds since the Unix epoch.
CREATE TABLE {table unique} (
  unique_key TEXT NOT NULL PRIMARY KEY,
  run_id TEXT NOT NULL,
  held_until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX {name unique_until} ON {table unique} (held_until);
