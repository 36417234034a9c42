"""How files are written: their encoding, separator, forms of numbers and times, and names of columns; detected or stated."""
