"""Makes every certificate, key and token of the table in the directory of its first argument, and prints them as
JSON: the name of each file, and its content in base64.

`cryptography` and not the openssl program: certificates of the past and of the future, and keys in every wrapping.
"""
import base64
import datetime
import ipaddress
import json
import os
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DIRECTORY = sys.argv[1]
DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.utcnow()
FORMATS = {
    "traditional": serialization.PrivateFormat.TraditionalOpenSSL,
    "pkcs8": serialization.PrivateFormat.PKCS8,
}
files = {}


def add(name, content):
    files[name] = content if isinstance(content, bytes) else content.encode()


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key, how="pkcs8", lock=serialization.NoEncryption()):
    return key.private_bytes(serialization.Encoding.PEM, FORMATS[how], lock)


def subject(name, organization=None):
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if organization:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def sign(name, key, issuer, issuer_key, start=NOW - DAY, end=NOW + 365 * DAY, ca=False, usage=None, names=(), digest=hashes.SHA256()):
    """A certificate; `issuer` is None for one that signs itself."""
    made = x509.CertificateBuilder(
        issuer_name=issuer.subject if issuer else name, subject_name=name, public_key=key.public_key(),
        serial_number=x509.random_serial_number(), not_valid_before=start, not_valid_after=end)
    made = made.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    made = made.add_extension(x509.KeyUsage(
        not ca, False, not ca and isinstance(key, rsa.RSAPrivateKey), False, False, ca, False, False, False), critical=True)
    made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    if issuer:
        made = made.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    if usage:
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signer = issuer_key or key
    return made.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else digest)


def rsa_key(bits=2048):
    return rsa.generate_private_key(65537, bits)


def p256():
    return ec.generate_private_key(ec.SECP256R1())


CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
ca_key = rsa_key()
ca = sign(subject("kubernetes"), ca_key, None, None, ca=True)
other_key = p256()
other = sign(subject("other-ca"), other_key, None, None, ca=True)
add("ca.crt", pem(ca))
add("other-ca.crt", pem(other))
add("bundle.crt", pem(other) + pem(ca))
add("ca.der", ca.public_bytes(serialization.Encoding.DER))
add("ca-expired.crt", pem(sign(subject("kubernetes"), ca_key, None, None, start=NOW - 30 * DAY, end=NOW - DAY, ca=True)))
add("bundle-expired.crt", pem(sign(subject("old"), other_key, None, None, start=NOW - 30 * DAY, end=NOW - DAY, ca=True)) + pem(ca))
add("ca-with-text.crt", b"# The management cluster's CA\nsubject=CN = kubernetes\n" + pem(ca) + b"\n\n")
add("ca-crlf.crt", pem(ca).replace(b"\n", b"\r\n"))
add("ca-cut.crt", pem(ca)[:-40])
add("ca-and-cut.crt", pem(ca) + pem(other)[:200])
add("ca-and-rubbish.crt", pem(ca) + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")

everywhere = [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
everywhere += [x509.DNSName(name) for name in ("localhost", "management.example")]
for name, names in (("server", everywhere), ("named", [x509.DNSName("management.example")])):
    key = rsa_key()
    certificate = sign(subject("kube-apiserver"), key, ca, ca_key, usage=SERVER, names=names)
    add(name + ".crt", pem(certificate))
    add(name + ".key", key_pem(key))


def client(name, key, how="pkcs8", issuer=ca, issuer_key=ca_key, usage=CLIENT, **more):
    made = sign(subject("kubernetes-admin", "system:masters"), key, issuer, issuer_key, usage=usage, **more)
    add(name + ".crt", pem(made))
    add(name + ".key", key_pem(key, how))
    return made


admin = rsa_key()
client("rsa", admin, "traditional")
add("rsa8.key", key_pem(admin))
add("locked.key", key_pem(admin, lock=serialization.BestAvailableEncryption(b"secret")))
add("locked-old.key", key_pem(admin, "traditional", serialization.BestAvailableEncryption(b"secret")))
add("rsa.crt.der", x509.load_pem_x509_certificate(files["rsa.crt"]).public_bytes(serialization.Encoding.DER))
add("rsa.key.der", admin.private_bytes(serialization.Encoding.DER, FORMATS["pkcs8"], serialization.NoEncryption()))
add("rsa-crlf.crt", files["rsa.crt"].replace(b"\n", b"\r\n"))
add("rsa-crlf.key", files["rsa.key"].replace(b"\n", b"\r\n"))
add("rsa-text.crt", b"Bag Attributes\n    friendlyName: admin\nsubject=CN = kubernetes-admin\n" + files["rsa.crt"])
add("rsa-both.pem", files["rsa.crt"] + files["rsa.key"])
add("rsa-both-key-first.pem", files["rsa.key"] + files["rsa.crt"])
add("rsa-blank.crt", b"\n\n" + files["rsa.crt"] + b"\n  \n")
add("rsa-no-newline.crt", files["rsa.crt"].rstrip())
add("rsa-spaces.crt", files["rsa.crt"].replace(b"\n", b" \n"))
add("rsa-indented.crt", b"".join(b"  " + line for line in files["rsa.crt"].splitlines(True)))
add("rsa-one-line.crt", files["rsa.crt"].replace(b"\n", b""))
add("rsa-cut.crt", files["rsa.crt"][:-60])
add("rsa-cut.key", files["rsa.key"][:-60])
add("no.pem", b"this is not PEM\n")
add("rubbish.crt", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
add("rubbish.key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
public = admin.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
add("public.key", public)

edge = p256()
client("ec", edge, "traditional")
add("k3s.crt", files["ec.crt"] + pem(ca))
parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
add("ec-parameters.key", parameters + files["ec.key"])
client("p384", ec.generate_private_key(ec.SECP384R1()))
client("p521", ec.generate_private_key(ec.SECP521R1()), "traditional")
client("p521-8", ec.generate_private_key(ec.SECP521R1()))
client("k256", ec.generate_private_key(ec.SECP256K1()))
client("ed25519", ed25519.Ed25519PrivateKey.generate())
client("rsa1024", rsa_key(1024), "traditional")
client("rsa3072", rsa_key(3072))
client("sha1", rsa_key(), digest=hashes.SHA1())
client("expired", p256(), start=NOW - 30 * DAY, end=NOW - DAY)
client("future", p256(), start=NOW + 5 * DAY, end=NOW + 30 * DAY)
client("foreign", p256(), issuer=other, issuer_key=other_key)
client("for-servers", p256(), usage=SERVER)
client("for-nothing", p256(), usage=None)
middle_key = p256()
middle = sign(subject("intermediate"), middle_key, ca, ca_key, ca=True)
client("chain", p256(), issuer=middle, issuer_key=middle_key)
add("chain-wrong.crt", pem(middle) + files["chain.crt"])
add("chain-none.crt", files["chain.crt"])
files["chain.crt"] += pem(middle)
add("chain-rubbish.crt", files["rsa.crt"] + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
dead_key = p256()
dead = sign(subject("intermediate"), dead_key, ca, ca_key, start=NOW - 30 * DAY, end=NOW - DAY, ca=True)
client("chain-dead", p256(), issuer=dead, issuer_key=dead_key)
files["chain-dead.crt"] += pem(dead)


def jwt(expiry):
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    claims = {"sub": "system:serviceaccount:magnum:driver", "iss": "https://kubernetes.default.svc"}
    if expiry:
        claims["exp"] = int((NOW + expiry).timestamp())
    return ".".join([part({"alg": "RS256", "kid": "X7"}), part(claims), part("signature")])


add("jwt", jwt(90 * DAY))
add("jwt-expired", jwt(-DAY))
add("jwt-forever", jwt(None))
add("opaque", "kubeconfig-user-x7:9f86d081884c7d659a2feaa0c55ad015")
add("opaque-newline", "kubeconfig-user-x7:9f86d081884c7d659a2feaa0c55ad015\n")
for name, content in files.items():
    with open(os.path.join(DIRECTORY, name), "wb") as file:
        file.write(content)
print(json.dumps({name: base64.b64encode(content).decode() for name, content in files.items()}))
