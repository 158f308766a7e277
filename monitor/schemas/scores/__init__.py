"""REST objects of scores by problem, and how rows become them."""
