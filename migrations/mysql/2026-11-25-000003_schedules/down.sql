DROP TABLE IF EXISTS {table carriers};
DROP TABLE IF EXISTS {table schedules};
