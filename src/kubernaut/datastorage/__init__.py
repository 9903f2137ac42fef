"""Stage 9, keep it: the audit trail and the remediation records, behind HTTP, in SQLite or PostgreSQL."""
