"""Create Magnum's tables on sqlite.

`magnum-db-manage upgrade` cannot: its migrations alter constraints, which sqlite does not know. So
the tables are made from the models, and the database is stamped as migrated. Run as user magnum.
"""
import sqlalchemy

from magnum.common import config

config.parse_args(["create_database", "--config-file", "/etc/magnum/magnum.conf"])

import magnum.conf  # noqa: E402  (these need the parsed config)
from magnum.db.sqlalchemy import migration, models  # noqa: E402

models.Base.metadata.create_all(sqlalchemy.create_engine(magnum.conf.CONF.database.connection))
migration.stamp("head")
