"""What the notebooks open: a study, a leaderboard or a folder of pictures."""
