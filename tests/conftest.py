"""Fixtures every test may use."""

from hypothesis import settings

collect_ignore = ["benchmarks"]  # engines need packages of their own
pytest_plugins = ["servers", "mysql_server", "provinces", "browsers", "volumes"]

settings.register_profile("crossdock", deadline=None)  # a slow machine is no bug
settings.load_profile("crossdock")
