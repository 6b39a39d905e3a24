"""The HTTP interface: every request becomes an actor, a question to the gate and one call of the platform."""

from tocsin.interfaces.http.app import make_app

__all__ = ["make_app"]
