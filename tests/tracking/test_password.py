import json

import pytest

from mtbkd.errors import InputError
from mtbkd.tracking.password import masked, require_no_password


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("https://u:pw@host:5000/x", "https://u:***@host:5000/x"),
        ("postgresql+psycopg2://u:p/w@host/db", "postgresql+psycopg2://u:***@host/db"),
        ("mysql://u:p@w@host/db", "mysql://u:***@host/db"),
        ("http://:pw@host", "http://:***@host"),
        ("postgresql://host/db?user=u&password=pw&x=1", "postgresql://host/db?user=u&password=***&x=1"),
        ("mysql://host/db?Pwd=pw", "mysql://host/db?Pwd=***"),
        ("https://host/?access_token=pw&api_key=pw", "https://host/?access_token=***&api_key=***"),
        ("mssql://host/db;sslpassword=pw", "mssql://host/db;sslpassword=***"),
        ("cannot ask http://u:pw@a and http://u:pw@b", "cannot ask http://u:***@a and http://u:***@b"),
    ],
)
def test_a_password_is_masked_and_refused(told, shown):
    assert masked(told) == shown
    with pytest.raises(InputError, match="MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD") as caught:
        require_no_password("uri", told)
    assert "pw" not in str(caught.value)
    assert shown in str(caught.value)


def test_a_masked_text_is_still_json():
    told = json.dumps({"error": 'cannot reach "https://h/?token=abc" now'})
    assert json.loads(masked(told)) == {"error": 'cannot reach "https://h/?token=***" now'}


@pytest.mark.parametrize(
    "told",
    [
        "https://host:5000/x",
        "https://user@host:5000",
        "postgresql://user@host:5432/db",
        "sqlite:////home/a:b@c/mlflow.db",
        "databricks",
        "https://host/?compassword=3",
        "write to me@host: at http://host:80 or you@host",
    ],
)
def test_what_has_no_password_stays(told):
    assert masked(told) == told
    require_no_password("uri", told)
