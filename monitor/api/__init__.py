"""Routes, one file a resource: each parses, calls, returns."""
