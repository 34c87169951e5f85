DROP TABLE "{t}";
