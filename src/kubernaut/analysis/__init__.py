"""Stage 4, why: finds the cause of a signal from the cluster's own objects, chooses the fix, and asks a person where policy wants one."""
