"""The controller kernel: how we watch and write. It knows Kubernetes and nothing of remediation; every stage stands on it."""
