"""The ways to reach people, each behind the one protocol of `base`."""
