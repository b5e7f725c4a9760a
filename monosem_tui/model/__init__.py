"""State and data behind the screens: open runs, feature cards, documents, trails, watches; nothing is drawn here."""
