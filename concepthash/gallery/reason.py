"""What an error says, short enough for a sentence."""

__all__ = ["reason_of"]


def reason_of(error: BaseException) -> str:
    r"""Return the first line of an error's text, or its kind where it has none.

    Examples
    --------
    >>> reason_of(OSError("Out of paper.\nAsk somebody else."))
    'Out of paper'
    >>> reason_of(TimeoutError())
    'TimeoutError'
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
