-- Keys of which no second program is created before a time, in milliseconds since the Unix epoch.
CREATE TABLE {table unique} (
  unique_key text COLLATE "C" PRIMARY KEY,
  run_id text NOT NULL,
  held_until bigint NOT NULL
);
CREATE INDEX {name unique_until} ON {table unique} (held_until);
