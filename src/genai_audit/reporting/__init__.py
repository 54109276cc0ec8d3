"""Published tables to pages that open from a file share."""
