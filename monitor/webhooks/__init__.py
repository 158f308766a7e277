"""Webhooks: outbox, signing, address checks, delivery."""
