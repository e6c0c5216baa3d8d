"""Create Magnum's tables on sqlite.

`magnum-db-manage upgrade` cannot: its migrations alter constraints, which sqlite does not know. So
the tables are made from the models, and the database is stamped as migrated. Run as user magnum.
"""
import sys

from magnum.common import config

config.parse_args(["create_database", "--config-file", "/etc/magnum/magnum.conf"])

from magnum.db.sqlalchemy import api, migration, models  # noqa: E402  (needs the parsed config)

try:
    engine = api.get_engine()
except AttributeError:  # later Magnum keeps the engine behind a context manager
    engine = api._create_facade_lazily().get_engine()
models.Base.metadata.create_all(engine)
migration.stamp("head")
print("tables:", len(models.Base.metadata.tables), file=sys.stderr)
