"""What went wrong with a connection, in words."""

import errno
import socket

import requests

NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN}


def why_no_connection(error: Exception) -> str:
    """Why no connection came about, empty when one did."""
    cause = _cause(error)
    if isinstance(cause, socket.gaierror):
        return "its name does not resolve"
    if isinstance(cause, ConnectionRefusedError):
        return "it refuses the connection"
    if isinstance(cause, OSError) and cause.errno in NO_ROUTE:
        return "there is no route to it"
    return "it does not answer" if isinstance(error, requests.ConnectTimeout) else ""


def in_words(error: Exception) -> str:
    """The fault's kind and text."""
    cause = _cause(error)
    return f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__


def _cause(error: BaseException) -> BaseException:
    """The innermost cause, without the layers that the libraries wrap around it."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    return error
