"""Signal processing of the metrics before the scan: transform, noise, history."""
