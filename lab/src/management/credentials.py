"""Makes certificates and keys, as a cluster's own tools make them: orders as JSON in, PEM as JSON out.

Nothing is kept. Every certificate is strict X.509 (RFC 5280), which Python 3.13 insists on.
"""
import datetime
import ipaddress
import json
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PKCS8 = serialization.PrivateFormat.PKCS8
TRADITIONAL = serialization.PrivateFormat.TraditionalOpenSSL


def make_rsa(bits=2048):
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


KEYS = {
    "RsaPkcs8": (make_rsa, PKCS8),
    "RsaPkcs1": (make_rsa, TRADITIONAL),
    "EcP256Pkcs8": (lambda: ec.generate_private_key(ec.SECP256R1()), PKCS8),
    "EcP256Sec1": (lambda: ec.generate_private_key(ec.SECP256R1()), TRADITIONAL),
    "EcP384": (lambda: ec.generate_private_key(ec.SECP384R1()), PKCS8),
    "EcP521": (lambda: ec.generate_private_key(ec.SECP521R1()), PKCS8),
    "Rsa1024": (lambda: make_rsa(1024), TRADITIONAL),
    "Secp256k1": (lambda: ec.generate_private_key(ec.SECP256K1()), PKCS8),
    "Ed25519": (ed25519.Ed25519PrivateKey.generate, PKCS8),
}
USAGES = {
    "server": ExtendedKeyUsageOID.SERVER_AUTH,
    "client": ExtendedKeyUsageOID.CLIENT_AUTH,
}
DIGESTS = {"sha256": hashes.SHA256, "sha1": hashes.SHA1}


def name_of(order):
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in order.get("groups", [])]
    return x509.Name(parts + [x509.NameAttribute(NameOID.COMMON_NAME, order["name"])])


def make(order, issuers):
    """One certificate and its key; it may issue later orders of the same request."""
    generate, form = KEYS[order["key"]]
    key = issuers[order["key_of"]][1] if order["key_of"] else generate()
    subject = name_of(order)
    issuer, issuer_key = issuers[order["issuer"]] if order.get("issuer") else (None, key)
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    public = key.public_key()
    authority = order["usage"] == "authority"
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(seconds=order["not_before"]))
        .not_valid_after(now + datetime.timedelta(seconds=order["not_after"]))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(key_usage(authority, isinstance(key, rsa.RSAPrivateKey)), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    if issuer:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())
        builder = builder.add_extension(identifier, critical=False)
    if order["usage"] in USAGES:
        usage = x509.ExtendedKeyUsage([USAGES[order["usage"]]])
        builder = builder.add_extension(usage, critical=False)
    names = [x509.DNSName(name) for name in order.get("dns", [])]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in order.get("addresses", [])]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    edwards = isinstance(issuer_key, ed25519.Ed25519PrivateKey)
    certificate = builder.sign(issuer_key, None if edwards else DIGESTS[order["digest"]]())
    password = order.get("password")
    encryption = (
        serialization.BestAvailableEncryption(password.encode())
        if password
        else serialization.NoEncryption()
    )
    issuers[order["name"]] = (certificate, key)
    return {
        "certificate_pem": certificate.public_bytes(serialization.Encoding.PEM).decode(),
        "key_pem": key.private_bytes(serialization.Encoding.PEM, form, encryption).decode(),
    }


def key_usage(authority, encipherment):
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=encipherment and not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


request = json.load(sys.stdin)
known = {
    name: (
        x509.load_pem_x509_certificate(pair["certificate_pem"].encode()),
        serialization.load_pem_private_key(pair["key_pem"].encode(), None),
    )
    for name, pair in request["issuers"].items()
}
json.dump([make(order, known) for order in request["orders"]], sys.stdout)
