"""A password in the address of a store: refused where it would be kept with a run, masked where an address is told."""

import re

from mtbkd.errors import InputError

# Up to the last @, since a database's password may hold slashes and more.
PASSWORD = re.compile(r"(://[^:/@\s]*):\S*@")
# As drivers of databases take it too.
PARAMETER = re.compile(
    r"([?&;](?:\w*_|ssl)?(?:password|passwd|pwd|token|api_?key|secret)=)[^&;\s\"'\\]+", re.IGNORECASE
)


def masked(text: str) -> str:
    """A text with `***` in the place of each password in an address, as in `https://user:***@host`."""
    return PARAMETER.sub(r"\1***", PASSWORD.sub(r"\1:***@", text))


def require_no_password(name: str, uri: str) -> None:
    """Raise `InputError` where the address has a password: settings stand in a run's files, report and store."""
    if masked(uri) != uri:
        raise InputError(
            f"{name} is '{masked(uri)}', with a password, which a run's files and report would show; give the address "
            "by the variable MLFLOW_TRACKING_URI, or name and password by MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD"
        )
