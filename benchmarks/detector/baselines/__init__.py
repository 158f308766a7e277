"""What a user could use instead of Cusp's detector: a file a family, all scored alike (`__main__.py`)."""
