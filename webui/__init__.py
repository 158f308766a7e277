"""The pages of the dashboard: dicts in the shapes of docs/reference/rest.md in, HTML and JSON out.

Pure: no database, no network, no clock. The monitor mounts `pages`, `figures` and `static`.
"""
