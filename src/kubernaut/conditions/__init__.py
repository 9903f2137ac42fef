"""What users demand to be so before their cluster is changed, and after: one text, one judgement, for actions and for workflows."""
