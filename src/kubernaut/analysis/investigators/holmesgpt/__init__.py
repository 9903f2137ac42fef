"""HolmesGPT as an investigator: in a process of its own, read only, on a budget, and believed only as far as its answer holds."""
