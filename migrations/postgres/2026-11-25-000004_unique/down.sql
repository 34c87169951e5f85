DROP TABLE {table unique};
