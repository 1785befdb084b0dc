"""Shared module of the notebooks: config → datasets → representation → space → clusterer → metrics → report."""
