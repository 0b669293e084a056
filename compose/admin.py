"""The first administrator of docker-compose.yaml: `AIRFLOW_ADMIN_USER` with `AIRFLOW_ADMIN_PASSWORD` of `.env`.

A password that is changed in `.env` counts from the next start on. One that was changed in the UI is kept until `.env`
changes again: a Variable has a hash of the password that was set last from there. Nothing secret is in a command line.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum

from werkzeug.security import check_password_hash, generate_password_hash

# The Variable that keeps the hash of the last password from `.env`. Airflow masks a Variable with `password` in its
# name, and encrypts all Variables in its database.
NOTED = "compose_admin_password_hash"
ROLE = "Admin"
# Exit code of this program if Airflow's auth manager is not that of FAB. `init.sh` then sets no permissions of roles.
OTHER_AUTH_MANAGER = 3


class Step(StrEnum):
    """What is to be done with the user."""

    CREATE = "created"
    RESET = "has the new password of .env"
    KEEP = "is there, and its password is kept"


def decide(password: str, noted: str | None, *, exists: bool) -> Step:
    """What is to be done.

    :param noted: the hash of the password that was set last from `.env`; None = none is known.
    :param exists: whether the user is there.
    """
    if not exists:
        return Step.CREATE
    # If no hash is noted, the user's password may be one that a person has chosen, so it is kept.
    return Step.KEEP if noted is None or check_password_hash(noted, password) else Step.RESET


def main() -> int:
    """Make the user, or give it the new password of `.env`. Only FAB has such users: others bring their own."""
    from airflow.configuration import conf
    from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager

    manager = conf.getimport("core", "auth_manager")
    if not (isinstance(manager, type) and issubclass(manager, FabAuthManager)):
        name = conf.get("core", "auth_manager")
        sys.stdout.write(f"{name} is not FAB's: no administrator is made, and no role is given a permission\n")
        return OTHER_AUTH_MANAGER
    make_administrator()
    return 0


def make_administrator() -> None:
    """Make the user of FAB, or give it the new password."""
    from airflow.models import Variable
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
    from airflow.utils.providers_configuration_loader import providers_configuration_loaded

    name, password = os.environ["AIRFLOW_ADMIN_USER"], os.environ["AIRFLOW_ADMIN_PASSWORD"]

    @providers_configuration_loaded
    def apply() -> Step:
        with get_application_builder() as builder:
            users = builder.sm
            user = users.find_user(name)
            step = decide(password, Variable.get(NOTED, default_var=None), exists=user is not None)
            if step is Step.CREATE:
                email = f"{name}@localhost.localdomain"
                if not users.add_user(name, "Airflow", "Admin", email, users.find_role(ROLE), password):
                    raise SystemExit(f"The user {name} could not be made; see above.")
            elif step is Step.RESET:
                users.reset_password(user.id, password)
            return step

    step = apply()
    if step is not Step.KEEP or Variable.get(NOTED, default_var=None) is None:
        Variable.set(NOTED, generate_password_hash(password), description="Made by compose/admin.py; leave it")
    sys.stdout.write(f"administrator {name}: {step}\n")


if __name__ == "__main__":
    sys.exit(main())
