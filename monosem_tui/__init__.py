"""What a person sees and types: the commands and the terminal app."""
