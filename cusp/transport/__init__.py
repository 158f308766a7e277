"""Transport from a training process to the monitor: spool, sender, announcement, retries."""
