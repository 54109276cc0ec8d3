"""Keyed pseudonyms and disclosure control: small, pure, fully tested."""
