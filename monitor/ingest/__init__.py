"""The write path of a batch: messages, verdict, decisions, reply, in one transaction."""
