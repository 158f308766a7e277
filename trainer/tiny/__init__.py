"""The embedded task: additions, a 23-token language and a base model made on the spot. No download."""
