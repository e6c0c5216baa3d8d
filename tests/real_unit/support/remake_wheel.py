"""Makes a wheel from another: one text replaced in one file, and RECORD as it then must be.

usage: remake_wheel.py WHEEL TARGET MEMBER_SUFFIX OLD NEW
"""
import base64
import hashlib
import pathlib
import sys
import zipfile

source, target, member, old, new = sys.argv[1:]
pathlib.Path(target).parent.mkdir(parents=True, exist_ok=True)
with zipfile.ZipFile(source) as wheel, zipfile.ZipFile(target, "w") as made:
    rows = []
    for name in wheel.namelist():
        content = wheel.read(name)
        if name.endswith(".dist-info/RECORD"):
            record = name
            continue
        if name.endswith(member):
            assert old.encode() in content, content
            content = content.replace(old.encode(), new.encode(), 1)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.append("%s,sha256=%s,%d" % (name, digest, len(content)))
        made.writestr(name, content)
    rows.append(record + ",,")
    made.writestr(record, "\n".join(rows) + "\n")
