"""What a person types: play the story, keep a cluster, run the parts, look, approve."""
