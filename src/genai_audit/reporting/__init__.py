"""Published tables in, pages out. Nothing here reads the warehouse, the clock or the network."""
