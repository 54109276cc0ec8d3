"""One file a detection: Polars frames in, findings out."""
