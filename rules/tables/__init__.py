"""The standard's tables as CSV, and typed, cached readers of them."""
