"""Folders of talking clips -> a motion corpus (`geneface.corpus`): on one machine or over a cluster."""
