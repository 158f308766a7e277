"""HTML pages beside those of the runs: comparison, projects, settings, tokens, webhooks, jobs, the API page."""
