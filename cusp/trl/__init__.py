"""Integration with transformers and TRL trainers: the callback, `watch`, `report_to`."""
