"""serve: the real program, started and stopped as people do."""

from __future__ import annotations

import datetime as dt
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from qa_monitor.commands.serving import check_exposure
from qa_monitor.config import WebSettings
from qa_monitor.errors import ConfigError


@contextmanager
def served(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program and the address it says; ended with Ctrl-C."""
    config = folder / "qa-monitor.toml"
    config.write_text(f'[data]\nfolder = "{folder}"\n')
    program = subprocess.Popen(
        [sys.executable, "-m", "qa_monitor", "--config", str(config), "serve", *options],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stderr is not None
    try:
        for line in program.stderr:
            if found := re.search(r"https?://\S+", line):
                yield program, found[0]
                break
        else:
            pytest.fail("it never said where it serves")
    finally:
        program.send_signal(signal.SIGINT)
        program.communicate(timeout=30)


def test_serve_answers_where_it_says_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    with served(tmp_path, "--port", "0") as (program, address):
        assert httpx.get(f"{address}/health").text == "ok\n"
        assert "Sign in" in httpx.get(f"{address}/sign-in").text
    assert program.returncode in {0, 130}


def test_serve_speaks_tls_with_a_certificate_and_marks_its_cookies(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    options = ("--port", "0", "--tls-certificate", str(certificate), "--tls-key", str(key))
    with served(tmp_path, *options) as (_, address):
        assert address.startswith("https://")
        trusted = ssl.create_default_context(cafile=str(certificate))
        answer = httpx.get(f"{address}/health", verify=trusted)
        assert answer.headers["Strict-Transport-Security"]


def test_a_port_that_is_taken_is_told_plainly(tmp_path: Path) -> None:
    with served(tmp_path, "--port", "0") as (_, address):
        port = address.rpartition(":")[2]
        second = subprocess.run(
            [sys.executable, "-m", "qa_monitor", "serve", "--port", port],
            capture_output=True,
            text=True,
            env={"XDG_DATA_HOME": str(tmp_path / "other"), "PATH": "/usr/bin:/bin"},
            check=False,
        )
    assert second.returncode == 3
    assert f"cannot listen on 127.0.0.1 port {port}" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "qa.example.org", "::"])
@pytest.mark.parametrize("behind_proxy", [True, False])
def test_pages_never_go_over_a_network_in_the_clear(host: str, behind_proxy: bool) -> None:
    settings = WebSettings.model_validate({"host": host, "behind_proxy": behind_proxy})
    with pytest.raises(ConfigError, match="TLS"):
        check_exposure(settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_needs_no_tls(host: str) -> None:
    check_exposure(WebSettings.model_validate({"host": host}))


def test_half_a_key_pair_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="together"):
        check_exposure(WebSettings.model_validate({"tls_certificate": tmp_path / "c.pem"}))


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_file, key_file
