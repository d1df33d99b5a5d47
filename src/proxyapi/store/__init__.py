"""Databases: the only part that imports a driver.

errors     what goes wrong, in our words
database   a database as the rest of the program sees it, and how to open one
sqlite     one file: connections, the write lock between processes
postgres   the same through asyncpg: a package with a map of its own
migrate    brings a database up to the newest schema
migrations the schema, one numbered file per step
queries    loads named statements from `.sql` files, and what they may say besides SQL
schema     the tables that the migrations make
copying    whole databases: backup, restore, from one engine to another
files      files that are there whole and durably, or not at all
script     cuts a migration into statements
"""
