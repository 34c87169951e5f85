DROP TABLE {table carriers};
DROP TABLE {table schedules};
