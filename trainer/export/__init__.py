"""Export: a checkpoint as a folder that others can serve, with a model card."""
