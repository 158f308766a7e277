"""The only place with SQL: one module a noun, functions that take an open connection."""
