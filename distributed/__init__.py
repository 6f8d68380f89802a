"""How it runs at scale. The only code that imports ray."""
