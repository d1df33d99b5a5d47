"""TLS for clients, with a certificate of the operator's own."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_the_gateway_serves_https_with_the_operators_certificate(gateways: Any, tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    make += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(make, check=True, capture_output=True)
    config = f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
    with gateways.Gateway(tmp_path, config) as gateway:
        assert gateway.url.startswith("https://")
        token = gateway.key(gateway.account("secure", "10"))
        body = json.dumps(
            {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 50}
        ).encode()
        request = urllib.request.Request(gateway.url + "/openai/v1/chat/completions", body)
        request.add_header("authorization", f"Bearer {token}")
        trusting = ssl.create_default_context(cafile=str(certificate))
        with urllib.request.urlopen(request, context=trusting, timeout=30) as response:
            assert json.loads(response.read())["choices"]
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(request, context=ssl.create_default_context(), timeout=30)
