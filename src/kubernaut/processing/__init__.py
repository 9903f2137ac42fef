"""Stage 2, enrich and rank: what the cluster knows about a signal, and how much it matters."""
