"""One module per command: its flags, and a body that imports what it needs when it runs."""
