"""The user's side: the commands and the terminal app."""
