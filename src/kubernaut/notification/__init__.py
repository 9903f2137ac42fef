"""Stage 8, tell people: each message goes out on each of its channels, once."""
