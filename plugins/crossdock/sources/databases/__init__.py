"""How databases are read: ADBC for SQLite and PostgreSQL, SQLAlchemy for every other.

Each module has `column_names(connection, table)` and `stream(connection, query)`.
"""
