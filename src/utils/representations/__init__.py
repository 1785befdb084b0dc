"""Representations: from images to features."""
