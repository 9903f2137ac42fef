"""What can be done: one typed action each, found by name in the registry."""
