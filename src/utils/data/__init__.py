"""Images: datasets from their sources, and a person's own pictures."""
