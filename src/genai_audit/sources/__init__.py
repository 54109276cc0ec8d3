"""One file a source. `_graph.py` is the only importer of msgraph and azure."""
