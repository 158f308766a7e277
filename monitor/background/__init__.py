"""Background threads: expiry and retention."""
