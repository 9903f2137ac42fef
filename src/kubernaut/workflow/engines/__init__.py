"""Who runs a plan: one protocol, several engines."""
