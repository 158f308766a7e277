"""The key of a vLLM server goes to no address that came over the network."""

import pytest

from trainer.rollouts.server_key import HOSTS, TOKEN, bearer, is_trusted


@pytest.mark.parametrize(
    ("address", "given"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://localhost:8000/", True),
        ("http://[::1]:8000", True),
        ("https://gpu-1:8000/under/a/path", True),
        ("http://10.0.0.2", True),
        ("http://evil.example:8000", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://localhost@evil.example", False),
        ("http://evil.example\\@localhost", False),
        ("http://evil.example#@localhost", False),
        ("http://evil.example/localhost", False),
        ("file://localhost/", False),
        ("http://gpu-10:8000", False),
    ],
)
def test_the_key_goes_to_this_machine_and_to_hosts_of_the_environment(
    address: str, given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN, "key")
    monkeypatch.setenv(HOSTS, "GPU-1, 10.0.0.2")
    assert is_trusted(address) is given
    assert bearer(address) == ({"Authorization": "Bearer key"} if given else {})
