"""Every action, once: a table a screen, and `table`, from which all that shows or takes keys is made."""
