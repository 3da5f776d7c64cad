"""Why a connection failed, in a few words: libraries name their objects and repeat addresses."""

from __future__ import annotations

import re


def why(error: BaseException) -> str:
    """Return the innermost of the reasons that an error of ``requests`` states.

    Examples
    --------
    >>> why(OSError("Max retries exceeded with url: /x (Caused by E(\\"P(port=9): [Errno 111] Connection refused\\"))"))
    '[Errno 111] Connection refused'
    >>> why(OSError("('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))"))
    'Remote end closed connection without response'
    """
    text = str(error)
    if found := re.search(r"certificate verify failed: ([^(]+)", text):
        return f"its certificate is not trusted: {found[1].strip()}"
    if found := re.search(r"'([^']+)'\)+$", text):
        return found[1]
    return re.sub(r"\"\)+$", "", text.rpartition(": ")[2]).rstrip(".")


def is_untrusted(error: BaseException) -> bool:
    """Tell whether a server showed a certificate that is not trusted, which no further attempt changes."""
    return "CERTIFICATE_VERIFY_FAILED" in str(error)
