"""The plan: runs a chosen catalogue workflow as a Tekton PipelineRun, once per target at a time, or plans steps into operations."""
