#!/usr/bin/env python3
"""TLS of the real binary: other people's clients and scanners, mutual TLS, renewal under load.

    tls_test.py BINARY [--full]

sslscan and testssl.sh (Debian packages of these names) are skipped, saying so, where they are missing. testssl.sh
looks at protocols, ciphers, the certificate-independent vulnerabilities and forward secrecy; --full (the night) at all
it knows. Anything above LOW fails, but for what hangs on the certificate that this test has made itself.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from traceo import Server, Tap, binary, free_port

# About the test's own certificate, its CA and the name, not about the server.
OWN_CERTIFICATE = re.compile(r"^(cert|chain|trust|OCSP|crl|DNS_CAA|CT|issuer|IP in SAN|overall_grade|grade_cap|final_score)", re.I)


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=options.pop("timeout", 60), **options)


class Authority:
    """A CA in a folder, by the openssl command."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = folder, name
        self.file = self.path(f"{name}.pem")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                     "-keyout", self.path(f"{name}.key"), "-out", self.file, "-subj", f"/CN=Test {name}")

    def path(self, name):
        return os.path.join(self.folder, name)

    def openssl(self, *arguments):
        done = run("openssl", *arguments)
        assert done.returncode == 0, done.stderr

    def sign(self, name, usage, days=20):
        """Certificate and key as name.pem and name.key, put in place as a renewal does: by rename."""
        request, extensions = self.path("request"), self.path("extensions")
        with open(extensions, "w") as out:
            out.write(f"subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage={usage}\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-out", request,
                     "-keyout", self.path("new.key"), "-subj", f"/CN={name}")
        self.openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.path(f"{self.name}.key"),
                     "-CAcreateserial", "-extfile", extensions, "-days", str(days), "-out", self.path("new.pem"))
        os.replace(self.path("new.pem"), self.path(f"{name}.pem"))
        os.replace(self.path("new.key"), self.path(f"{name}.key"))
        return self.path(f"{name}.pem"), self.path(f"{name}.key")


def serve(folder, authority, *flags):
    server = Server("--tls.cert_file", authority.path("server.pem"), "--tls.key_file", authority.path("server.key"), *flags)
    server.start(wait=False)
    url = f"https://127.0.0.1:{server.port}"
    for _ in range(100):
        if run("curl", "-sk", url + "/-/ready").returncode in (0, 56):  # 56: it wants a certificate
            return server, url
        time.sleep(0.05)
    raise RuntimeError("the server does not answer:\n" + server.tail())


def curl(url, *flags):
    return run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", *flags, url)


def clients(tap, folder, ca):
    server, url = serve(folder, ca)
    try:
        trust = ("--cacert", ca.file)
        tap.check(curl(url + "/-/ready", *trust).stdout == "2 200", "curl gets HTTP/2 by ALPN")
        tap.check(curl(url + "/-/ready", "--http1.1", *trust).stdout == "1.1 200", "and HTTP/1.1 when it asks for it")
        tap.check(curl(url + "/-/ready").returncode == 60, "an unknown CA is not trusted by curl")
        tap.check(curl(url + "/-/ready", "--tls-max", "1.2", *trust).returncode == 35, "TLS 1.2 is refused by default")
        plain = run("curl", "-s", "-w", "%{http_code}", url.replace("https", "http") + "/")
        tap.check("400" in plain.stdout and "https" in plain.stdout, "a plain request is told to use https")
        query = (binary(), "query", "--server", url)
        asked = run(*query, "--ca-file", ca.file, "6 * 7")
        tap.check(asked.stdout.strip() == "42", "traceo query trusts --ca-file")
        asked = run(*query, "6 * 7", env={**os.environ, "TRACEO_CA_FILE": ca.file})
        tap.check(asked.stdout.strip() == "42", "and TRACEO_CA_FILE")
        asked = run(*query, "6 * 7")
        tap.check(asked.returncode != 0 and "--ca-file" in asked.stderr, "without them it says what to do")
        tap.check(f"Traceo is at {url} " in server.tail(), "the start-up lines say https")
    finally:
        server.close()


def mutual(tap, folder, ca):
    client, key = ca.sign("client", "clientAuth")
    other = Authority(folder, "other")
    stranger, stranger_key = other.sign("stranger", "clientAuth")
    server, url = serve(folder, ca, "--tls.client_auth", "required", "--tls.client_ca_file", ca.file)
    try:
        trust = ("--cacert", ca.file)
        good = curl(url + "/-/ready", *trust, "--cert", client, "--key", key)
        tap.check(good.stdout.endswith("200"), "mutual TLS lets a signed client in")
        tap.check(curl(url + "/-/ready", *trust).returncode != 0, "none without a certificate")
        bad = curl(url + "/-/ready", *trust, "--cert", stranger, "--key", stranger_key)
        tap.check(bad.returncode != 0, "and none whose certificate another CA signed")
        asked = run(binary(), "query", "--server", url, "--ca-file", ca.file, "--cert-file", client, "--key-file", key, "1")
        tap.check(asked.stdout.strip() == "1", "traceo query shows --cert-file")
    finally:
        server.close()


def wrong_files(tap, folder, ca):
    other = Authority(folder, "wrong")
    _, key = other.sign("elsewhere", "serverAuth")
    started = run(binary(), "serve", "--data", os.path.join(folder, "data"), "--listen", f"127.0.0.1:{free_port()}",
                  "--tls.cert_file", ca.path("server.pem"), "--tls.key_file", key)
    tap.check(started.returncode != 0 and "elsewhere.key" in started.stderr and "not the key" in started.stderr,
              "a key that does not fit ends the start and is named")
    started = run(binary(), "serve", "--data", os.path.join(folder, "data"), "--tls.cert_file", "/nowhere/cert.pem",
                  "--tls.key_file", key)
    tap.check(started.returncode != 0 and "/nowhere/cert.pem" in started.stderr, "so does a file that is not there")


def serial(port):
    shown = run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", input="")
    return run("openssl", "x509", "-noout", "-serial", input=shown.stdout).stdout


def renewal(tap, folder, ca):
    server, url = serve(folder, ca)
    stop, failed, done = threading.Event(), [], [0]

    def load():
        while not stop.is_set():
            got = curl(url + "/-/ready", "--cacert", ca.file)
            done[0] += 1
            if not got.stdout.endswith("200"):
                failed.append(got.stderr)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        seen = {serial(server.port)}
        for _ in range(3):
            ca.sign("server", "serverAuth")
            begun = time.monotonic()
            while serial(server.port) in seen and time.monotonic() - begun < 6:
                time.sleep(0.1)
            seen.add(serial(server.port))
        tap.check(len(seen) == 4, "a renewed certificate is served within seconds, without a signal")
        with open(ca.path("server.pem"), "w") as broken:
            broken.write("nonsense\n")
        time.sleep(2.5)
        tap.check(serial(server.port) in seen, "a bad one changes nothing")
        tap.check(server.tail().count("not renewed") == 1, "and is logged once")
        ca.sign("server", "serverAuth")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        server.close()
    tap.check(not failed, f"{done[0]} requests meanwhile, none failed" + (f": {failed[0]}" if failed else ""))


def scanners(tap, folder, ca, full):
    for version in ("1.3", "1.2"):
        server, url = serve(folder, ca, "--tls.min_version", version)
        target = f"127.0.0.1:{server.port}"
        try:
            if shutil.which("sslscan") is None:
                tap.skip(f"sslscan, TLS {version}", "sslscan is not installed")
            else:
                sslscan(tap, target, version)
            if shutil.which("testssl") is None:
                tap.skip(f"testssl.sh, TLS {version}", "testssl.sh is not installed")
            else:
                testssl(tap, folder, target, version, full)
        finally:
            server.close()


def sslscan(tap, target, version):
    report = run("sslscan", "--no-colour", target, timeout=120).stdout
    enabled = set(re.findall(r"^((?:SSL|TLS)v[\d.]+) +enabled", report, re.M))
    tap.check(enabled == ({"TLSv1.3"} if version == "1.3" else {"TLSv1.2", "TLSv1.3"}), f"sslscan finds only {sorted(enabled)}")
    ciphers = re.findall(r"^(?:Preferred|Accepted) +\S+ +(\d+) bits +(\S+)", report, re.M)
    weak = [name for bits, name in ciphers if int(bits) < 128 or not re.search(r"GCM|CHACHA20|POLY1305", name)]
    tap.check(ciphers and not weak, f"sslscan finds no weak cipher among {len(ciphers)} {weak or ''}")
    tap.check("not vulnerable to heartbleed" in report and " vulnerable to heartbleed" not in report.replace("not vulnerable", ""),
              "sslscan: no heartbleed")


def testssl(tap, folder, target, version, full):
    found = os.path.join(folder, f"testssl-{version}.json")
    checks = [] if full else ["-p", "-s", "-f", "-H", "-R", "-C", "-Z", "-E"]
    run("testssl", "--quiet", "--color", "0", "--warnings", "off", "--jsonfile", found, "--ip", "one", *checks, target,
        timeout=1500, stdin=subprocess.DEVNULL)
    with open(found) as report:
        rows = json.load(report)
    bad = [f"{row['id']} ({row['severity']}): {row['finding']}" for row in rows
           if row["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "FATAL") and not OWN_CERTIFICATE.match(row["id"])]
    tap.check(len(rows) >= 10 and not bad, f"testssl.sh, TLS {version}: {len(rows)} findings, none above LOW {bad or ''}")


def main():
    tap = Tap()
    folder = tempfile.mkdtemp(prefix="traceo-tls-")
    try:
        ca = Authority(folder)
        ca.sign("server", "serverAuth")
        clients(tap, folder, ca)
        mutual(tap, folder, ca)
        wrong_files(tap, folder, ca)
        renewal(tap, folder, ca)
        scanners(tap, folder, ca, "--full" in sys.argv)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
