"""The embedded store: one SQLite file in the data folder, one process that writes it, and all SQL that there is."""

from tocsin.platform.store.database import Store, open_store
from tocsin.platform.store.sessions import Sessions, open_sessions
from tocsin.platform.store.users import User, Users, open_users

__all__ = ["Sessions", "Store", "User", "Users", "open_sessions", "open_store", "open_users"]
