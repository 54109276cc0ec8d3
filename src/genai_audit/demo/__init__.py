"""A seeded pretend university and its loopback tenant; only the `demo` verb and the tests import it."""
