"""Databases: the only part that imports a driver.

errors     what goes wrong, in our words
sqlite     connections, the write lock between processes, `Database`
migrate    brings a database up to the newest schema
migrations the schema, one numbered file per step
queries    loads named statements from `.sql` files
"""
