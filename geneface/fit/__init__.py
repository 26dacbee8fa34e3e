"""Fitting: a prepared person to an avatar, a corpus to a motion model."""
