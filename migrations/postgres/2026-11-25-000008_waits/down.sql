DROP TABLE {table waits};
