"""What people read: summaries, comparisons and tables, made from episodes."""
