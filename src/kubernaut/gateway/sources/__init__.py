"""Where signals come from, each behind the one protocol of `base`."""
