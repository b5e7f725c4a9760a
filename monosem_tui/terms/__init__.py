"""The terms of the app: what each heading, number and column is, how it is computed, what is typical.

One table (`table`) makes the headings of pages, what `?` says, and docs/glossary.md.
"""
