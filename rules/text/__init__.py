"""Free text: what in it points at people, and how it is cut out."""
