DROP TABLE {table parked};
DROP TABLE {table holds};
DROP TABLE {table limits};
