"""Routes of scores by problem: posted, compared, read, exported."""
