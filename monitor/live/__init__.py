"""Server-sent events: who listens, and what each is sent."""
