"""What verification looks at: each probe reads one thing from the caches and says how it stands."""
