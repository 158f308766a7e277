"""A monitor behind TLS under a prefix, its certificate from an authority of one's own: every client of ours."""

import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from cusp import tls
from tests.conftest import MonitorProcess
from tests.reverse_proxy import ReverseProxy
from trainer.jobs.client import MonitorClient

KEY = "the-token-of-a-monitor-behind-tls"
TRAINING = """
import logging
logging.basicConfig(format="%(message)s")
import cusp
run = cusp.init("p", "n")
run.log({"format_reward": 0.5}, 1)
print("sent", run.finish(drain_s=DRAIN), run.url)
"""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> str:
    """The authority's certificate, as its owner hands it out."""
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return str(file)


@pytest.fixture(params=[True, False], ids=["strips", "keeps"])
def proxy(
    request: pytest.FixtureRequest, monitor_process: MonitorProcess, authority: trustme.CA
) -> Iterator[ReverseProxy]:
    monitor_process.token = KEY
    if not request.param:
        monitor_process.settings["CUSP_ROOT_PATH"] = "/tools/cusp"
    monitor_process.start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with ReverseProxy(
        monitor_process.port, "/tools/cusp", strips=request.param, tls=context
    ) as made:
        yield made


def ran(url: str, folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run a program of ours as a process; return its exit status and all that it said."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CUSP_", "SSL_"))}
    given = {**kept, "CUSP_URL": url, "CUSP_TOKEN": KEY, "CUSP_DIR": str(folder), **environment}
    done = subprocess.run(
        [sys.executable, *arguments], env=given, text=True, capture_output=True, timeout=60
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_trainings_commands_and_workers_trust_the_authority_they_are_told(
    proxy: ReverseProxy, trusted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = proxy.url("localhost")
    script = TRAINING.replace("DRAIN", "15")
    status, said = ran(url, tmp_path / "c", "-c", script, SSL_CERT_FILE=trusted)
    assert (status, "sent True" in said) == (0, True), said
    assert f"{url}/runs/" in said
    status, said = ran(url, tmp_path / "c", "-m", "cusp", "runs", "--json", SSL_CERT_FILE=trusted)
    assert (status, '"name": "n"' in said) == (0, True), said
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    worker = MonitorClient(url, KEY, threading.Event())
    assert worker.waiting() == []
    worker.close()
    assert proxy.missed == []


def test_a_folder_of_certificates_is_as_good(
    proxy: ReverseProxy, trusted: str, tmp_path: Path
) -> None:
    folder = tmp_path / "authorities"
    folder.mkdir()
    (folder / "mine.pem").write_text(Path(trusted).read_text())
    subprocess.run(["openssl", "rehash", folder], check=True)
    status, said = ran(
        proxy.url("localhost"), tmp_path, "-m", "cusp", "runs", SSL_CERT_DIR=str(folder)
    )
    assert status == 0, said


def test_who_is_not_told_says_which_certificate_and_what_to_do(
    proxy: ReverseProxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = proxy.url("localhost")
    sentence = f"the certificate of {url} is not trusted"
    status, said = ran(url, tmp_path, "-m", "cusp", "runs")
    assert status == 2
    assert sentence in said
    assert "SSL_CERT_FILE" in said
    status, said = ran(url, tmp_path, "-c", TRAINING.replace("DRAIN", "1"))
    assert status == 0  # the training does not mind
    assert "sent False" in said
    assert sentence in said
    stopping = threading.Event()
    worker = MonitorClient(url, KEY, stopping)
    asking = threading.Thread(target=worker.claim, args=("w", ["train"], []), daemon=True)
    asking.start()
    for _ in range(100):
        if sentence in caplog.text:
            break
        asking.join(0.1)
    stopping.set()
    asking.join(10)
    worker.close()
    assert caplog.text.count(sentence) == 1


def test_a_certificate_of_another_name_is_said_to_be_that(
    proxy: ReverseProxy, trusted: str, tmp_path: Path
) -> None:
    status, said = ran(
        proxy.url("127.0.0.1"), tmp_path, "-m", "cusp", "runs", SSL_CERT_FILE=trusted
    )
    assert status == 2
    assert "is for another name" in said


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("value", ["missing.pem", "nonsense.pem"])
def test_an_authority_that_cannot_be_read_is_named_and_costs_no_training(
    tmp_path: Path, name: str, value: str
) -> None:
    (tmp_path / "nonsense.pem").write_text("no certificate")
    given = {name: str(tmp_path / value)}
    url = "https://127.0.0.1:9/cusp"
    status, said = ran(url, tmp_path, "-m", "cusp", "runs", **given)
    assert status == 2
    assert f"{name} is {given[name]!r}" in said
    status, said = ran(url, tmp_path, "-c", TRAINING.replace("DRAIN", "0.3"), **given)
    assert (status, "sent False" in said) == (0, True), said
    assert f"{name} is {given[name]!r}" in said
    # Over plain http no certificate is shown, so none has to be read.
    _, said = ran("http://127.0.0.1:9", tmp_path, "-m", "cusp", "runs", **given)
    assert "SSL_CERT" not in said


def test_nobody_is_trusted_where_nobody_was_named() -> None:
    for context in (tls.nobody(), tls.context("http://monitor:8787", {})):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.get_ca_certs() == []
    assert tls.context("https://monitor", {}).get_ca_certs()
