"""The gate to the cluster: what may keep a fix from being begun. Pause, a last look at the world, who keeps the target, the brake."""
