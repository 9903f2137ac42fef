"""Investigation by rules: small pure functions from a snapshot to a candidate cause, each with its evidence and its doubts."""
