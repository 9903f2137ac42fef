"""What is wrong with the network, in few words: for those who call others, and tell people when nobody answers."""

import os

import aiohttp


def words(fault: Exception) -> str:
    """Return what a fault of a connection is; aiohttp's own text shows the TLS context in place of a reason."""
    if isinstance(fault, aiohttp.ClientConnectorCertificateError):
        return f"{fault.host}:{fault.port}: {fault.certificate_error}"
    if isinstance(fault, aiohttp.ClientConnectorError):
        number = fault.os_error.errno
        return f"{fault.host}:{fault.port}: {os.strerror(number) if number and number > 0 else fault.os_error.strerror or fault.os_error}"
    return "no answer in time" if isinstance(fault, TimeoutError) else str(fault) or type(fault).__name__
