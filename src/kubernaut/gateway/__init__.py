"""Stage 1, a webhook comes in: each alert becomes exactly one RemediationRequest, or a count on the open one."""
