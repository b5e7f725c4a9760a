"""All features of a run as files."""
