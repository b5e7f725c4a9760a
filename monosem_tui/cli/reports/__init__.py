"""What the reading commands show, as text for people and as JSON for programs."""
