"""Who can tell a cause: the rules, and later models. The stage meets them through `base.py` only."""
