"""Reading with bounds and writing without loss: text, arrays, tables, pictures, locks."""
