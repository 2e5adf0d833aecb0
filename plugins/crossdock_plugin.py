"""Airflow's plugin: crossdock's pages in the navigation, and links from a task to its verdict or delivery."""

from airflow.plugins_manager import AirflowPlugin

from crossdock.airflow.links import DeliveryLink, VerdictLink
from crossdock.web.app import app


class CrossdockPlugin(AirflowPlugin):
    """Mounts crossdock.web and registers the task links."""

    name = "crossdock"
    fastapi_apps = [{"app": app, "url_prefix": "/crossdock", "name": "crossdock"}]  # noqa: RUF012 - Airflow's form
    external_views = [  # noqa: RUF012 - Airflow's form
        {
            "name": "crossdock",
            "href": "/crossdock/",
            "destination": "nav",
            "url_route": "crossdock",
        }
    ]
    operator_extra_links = [VerdictLink(), DeliveryLink()]  # noqa: RUF012 - Airflow's form
