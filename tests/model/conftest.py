import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small spend longer on handing work over than on the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
