"""What a person or the policy does to a run: stop, promote, evaluate, resume, delete, set its roles."""
