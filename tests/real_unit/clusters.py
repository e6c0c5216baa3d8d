"""Puts clusters into Magnum's database: NAME:DISTRO of each, as arguments."""
import sys
import uuid

from magnum import objects
from magnum.common import config, context

config.parse_args(["magnum", "--config-file=/etc/magnum/magnum.conf"])
admin = context.make_admin_context(all_tenants=True)
for argument in sys.argv[1:]:
    name, distro = argument.split(":")
    template = objects.ClusterTemplate(
        admin, uuid=str(uuid.uuid4()), name=name, project_id="p", user_id="u", image_id="i",
        server_type="vm", cluster_distro=distro, coe="kubernetes", public=False,
    )
    template.create()
    cluster = objects.Cluster(
        admin, uuid=str(uuid.uuid4()), name=name, project_id="p", user_id="u",
        cluster_template_id=template.uuid, status="CREATE_COMPLETE", labels={},
    )
    cluster.create()
    print(cluster.uuid)
