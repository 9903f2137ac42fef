"""7 Did it help: watches the target and the alert after a fix, for as long as it takes to be sure, and gives a verdict."""
