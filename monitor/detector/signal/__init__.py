"""One metric on its way to the scan: transform, noise, history."""
