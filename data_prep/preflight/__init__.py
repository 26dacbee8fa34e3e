"""Everything that is found out about a video before any long work."""
