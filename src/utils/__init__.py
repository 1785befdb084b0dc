"""Shared by the notebooks: data → representation → space → clusterer → metrics."""
