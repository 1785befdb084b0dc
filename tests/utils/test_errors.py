import socket
import urllib.error

import pytest

from utils.errors import reason_of

NO_NAME = socket.gaierror(-2, "Name or service not known")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (urllib.error.URLError(NO_NAME), "Name or service not known"),
        (FileNotFoundError(2, "No such file or directory", "a"), "No such file or directory: a"),
        (urllib.error.HTTPError("u", 404, "Not Found", None, None), "HTTP Error 404: Not Found"),
        (ValueError(" two\nlines "), "two\nlines"),
        (OSError(), "OSError"),
    ],
)
def test_a_reason_is_in_words_without_the_number_of_the_system(error, said):
    assert reason_of(error) == said
