"""From recorded tables to an article: reads files, never trains or clusters."""
