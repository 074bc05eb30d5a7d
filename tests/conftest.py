import pytest

from xbnet import BackendError, get_backend


@pytest.fixture(params=["numpy", "dpnp", "cupy"])
def backend(request):
    """Each backend whose library is installed and finds a device; for the others the error says what is missing."""
    try:
        return get_backend(request.param)
    except BackendError as error:
        pytest.skip(str(error))


def pytest_report_header(config):
    from tests.support.chance import REPORT

    return REPORT
