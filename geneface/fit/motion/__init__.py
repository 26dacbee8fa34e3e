"""Training of the motion generator on corpora of talking clips (`geneface train-motion`)."""
from .train import DRIVEN, train_motion

__all__ = ["DRIVEN", "train_motion"]
