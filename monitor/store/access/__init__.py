"""Tables of who may act and what was done: tokens, sessions, audit, idempotency keys, webhooks."""
