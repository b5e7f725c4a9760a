"""Settings of every command: frozen dataclasses of the standard library alone, so that help is instant."""
