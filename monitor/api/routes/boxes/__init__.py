"""REST routes of boxes: their workers, and the trainings submitted to them."""
