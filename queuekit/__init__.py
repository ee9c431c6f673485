"""A typed task queue whose storage is a setting."""
