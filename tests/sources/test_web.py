"""The door to services: which links it follows, which addresses it takes."""

import pytest

from genai_audit.errors import ConfigurationError
from genai_audit.settings import SourceOptions
from genai_audit.sources._addresses import check_https
from genai_audit.sources._web import DistrustedError, Web

UNREADABLE = ["https://[bad", "https://lrs.example:99999/", "https://lrs.example:abc/", "https://h\x07/"]


@pytest.fixture
def web() -> Web:
    return Web("the store", "https://lrs.example/xAPI", SourceOptions())


@pytest.mark.parametrize(
    "link",
    ["statements?page=2", "/xAPI/statements", "https://LRS.example/more", "HTTPS://lrs.example:443/more"],
)
def test_a_link_on_our_host_is_followed_however_it_is_written(web: Web, link: str) -> None:
    assert web.resolve(link).lower().startswith("https://lrs.example")


@pytest.mark.parametrize(
    "link",
    [
        "https://other.example/",
        "//other.example/",
        "http://lrs.example/",
        "https://lrs.example:8443/",
        "https://lrs.example:0/",
        "https://u:p@lrs.example/",
        *UNREADABLE,
    ],
)
def test_a_link_elsewhere_or_no_address_is_distrusted(web: Web, link: str) -> None:
    with pytest.raises(DistrustedError):
        web.get(link)
    assert web.request_count == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://lrs.example/",
        "https:///path",
        "lrs.example",
        "https://u@h.example",
        "https://:p@h.example",
        "https://h.example/?key=1",
        *UNREADABLE,
    ],
)
def test_an_address_that_is_open_secret_or_unreadable_is_a_mistake(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_https("the store", url)
    assert url not in str(refused.value)


@pytest.mark.parametrize("url", ["https://lrs.example/xAPI", "http://127.0.0.1:8080", "http://[::1]:80/"])
def test_https_or_this_machine_is_taken(url: str) -> None:
    check_https("the store", url)
