"""The page of an audit: protocols against the truth, and what each choice in one changes."""
