"""Motion: speech features to canonical landmarks and expression weights."""
