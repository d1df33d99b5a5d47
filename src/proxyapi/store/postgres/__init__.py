"""PostgreSQL through asyncpg.

text      statements and migrations, which are written for SQLite, in PostgreSQL's spelling
faults    the driver's exceptions in our words
session   one connection: blocking, on an event loop of its own
engine    `PostgresDatabase`
"""
