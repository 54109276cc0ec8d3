"""One file a source. Only `_graph.py` imports msgraph, only `_graph_sign_in.py` azure."""
