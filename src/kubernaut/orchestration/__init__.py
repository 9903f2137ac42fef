"""2 What next: walks each RemediationRequest through its stages, one child object at a time, and tells people how it ended."""
