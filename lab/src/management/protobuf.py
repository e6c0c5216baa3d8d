"""Secrets as helm sends them: since 3.17 not as JSON but in Kubernetes' own envelope of protobuf.

Field numbers are those of `generated.proto` in k8s.io/api/core/v1 and k8s.io/apimachinery. Answers are
always JSON, which every client takes too.
"""
import base64

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"


def decode_secret(body):
    """The object that JSON would have said; None when this is no secret."""
    if not body.startswith(MAGIC):
        return None
    envelope = fields(body[len(MAGIC) :])
    about, raw = fields(last(envelope, 1)), last(envelope, 2)
    kind = {"apiVersion": text(about, 1), "kind": text(about, 2)}
    if kind != {"apiVersion": "v1", "kind": "Secret"}:
        return None
    secret = fields(raw)
    about = fields(last(secret, 1))
    metadata = {
        "name": text(about, 1),
        "generateName": text(about, 2),
        "namespace": text(about, 3),
        "resourceVersion": text(about, 6),
        "labels": {key: value.decode() for key, value in pairs(about, 11)},
        "annotations": {key: value.decode() for key, value in pairs(about, 12)},
    }
    return {
        **kind,
        "metadata": {key: value for key, value in metadata.items() if value},
        "data": {key: base64.b64encode(value).decode() for key, value in pairs(secret, 2)},
        "type": text(secret, 3) or "Opaque",
        "stringData": {key: value.decode() for key, value in pairs(secret, 4)},
    }


def fields(message):
    """The fields of a message by number, each with its values in order."""
    found, at = {}, 0
    while at < len(message):
        tag, at = varint(message, at)
        wire = tag & 7
        if wire == 0:
            value, at = varint(message, at)
        else:
            size, at = varint(message, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
            value, at = message[at : at + size], at + size
        found.setdefault(tag >> 3, []).append(value)
    return found


def varint(message, at):
    value = shift = 0
    while True:
        value |= (message[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not message[at - 1] & 0x80:
            return value, at


def last(message, number):
    return message.get(number, [b""])[-1]


def text(message, number):
    return last(message, number).decode()


def pairs(message, number):
    for entry in message.get(number, []):
        pair = fields(entry)
        yield text(pair, 1), last(pair, 2)
