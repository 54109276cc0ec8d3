"""A seeded pretend university and its loopback tenant; nothing but the `demo` verb and the tests imports it."""
