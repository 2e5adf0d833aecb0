"""The pages inside Airflow, which mounts `app` at /crossdock.

Its users are Airflow's: whoever may look at plugins may look here, nobody else. `[crossdock] department_users` in
airflow.cfg names users who see their own department only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView  # noqa: TID253 - the users are Airflow's
from airflow.api_fastapi.core_api.security import (  # noqa: TID253 - the users are Airflow's
    GetUserDep,
    requires_access_view,
)
from airflow.configuration import conf  # noqa: TID253 - and so is the setting
from fastapi import Depends, Request

from crossdock.web.routes import make_app
from crossdock.web.sight import Sight, departments_of

if TYPE_CHECKING:
    from crossdock.exchange import Exchange


def airflow_user(
    request: Request, user: GetUserDep, _: Annotated[None, Depends(requires_access_view(AccessView.PLUGINS))]
) -> None:
    """Lets Airflow's users in who may look at plugins, and says what each may see."""
    setting = conf.get("crossdock", "department_users", fallback="")
    name = user.get_name()
    asking = {each.strip() for each in conf.get("crossdock", "lookup_users", fallback="").split(",")}
    request.state.sight = Sight(department=departments_of(setting).get(name), user=name, looks_up=name in asking)


def _opened() -> Exchange:
    from crossdock.airflow.work import airflow_lookup
    from crossdock.exchange import open_exchange

    return open_exchange(lookup=airflow_lookup)


app = make_app(airflow_user, _opened)
