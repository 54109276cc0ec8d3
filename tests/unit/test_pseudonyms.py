"""Keyed pseudonyms: stable under spelling, separate by domain and key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genai_audit.privacy.pseudonyms import PREFIX, key_id, pseudonym

KEY, OTHER = b"k" * 32, b"o" * 32


@pytest.mark.parametrize("spelling", ["ada@x.example", "ADA@X.Example", " ada@x.example "])
def test_spellings_of_one_identity_give_one_token(spelling: str) -> None:
    assert pseudonym(KEY, "person", spelling) == pseudonym(KEY, "person", "ada@x.example")


@given(st.text(min_size=1), st.sampled_from(sorted(PREFIX)))
def test_a_token_has_one_shape_and_tells_nothing(identity: str, domain: str) -> None:
    token = pseudonym(KEY, domain, identity)
    assert len(token) == 29
    assert token.startswith(PREFIX[domain] + "_")
    assert token != pseudonym(OTHER, domain, identity)


def test_domains_cannot_be_joined_by_accident() -> None:
    bodies = {pseudonym(KEY, domain, "same")[3:] for domain in PREFIX}
    assert len(bodies) == len(PREFIX)


def test_an_unknown_domain_is_our_bug() -> None:
    with pytest.raises(ValueError, match="domain"):
        pseudonym(KEY, "planet", "x")


def test_a_key_is_named_without_giving_it_away() -> None:
    assert key_id(KEY) != key_id(OTHER)
    assert KEY.hex()[:16] not in key_id(KEY)
