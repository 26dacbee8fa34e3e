"""A synthetic person: the embedded test-bed of tests and demo. Nobody is filmed, and everything is known."""
from .clip import SyntheticClip, SyntheticOptions, make_synthetic
from .speech import Speech, demo_audio, demo_speech
from .truth import SyntheticTruth

__all__ = [
    "Speech", "SyntheticClip", "SyntheticOptions", "SyntheticTruth", "demo_audio", "demo_speech", "make_synthetic",
]
