"""What the passing of time does: expiry and retention."""
