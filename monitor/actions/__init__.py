"""Actions on a run, by a person or the policy: stop, promote, evaluate, resume, delete, set its roles."""
