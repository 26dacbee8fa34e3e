"""Measures of a fitted avatar: picture fidelity, lips, steadiness, seams, identity, sync; and of tracking."""
