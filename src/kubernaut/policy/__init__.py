"""What users decide by rules: policies in CEL, kept in a ConfigMap or a file, read again when they change; shared by the stages."""
