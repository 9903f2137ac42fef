"""What is said: every kind and message as a pydantic model, declared once. No I/O here."""
