"""The connection to SQLite or PostgreSQL, the schema, and the statements the two spell differently."""
