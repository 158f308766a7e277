"""Dashboard pages: HTML and JSON from dicts in the shapes of docs/reference/rest.md.

Pure: no database, no network, no clock. The monitor serves `pages`, `charts.figures` and `assets`.
"""
