"""Text that comes from outside (names of files, answers of servers), made fit to be shown."""


def printable(text: str, most: int | None = None) -> str:
    r"""A name as it may be shown on a terminal, on a page or in a file of lines.

    Control characters, line ends, what turns the direction of writing and bytes that are not UTF-8
    become escapes (\n, \x1b, \u202e, \xe9). The rest stays as it is, so that a name without any of
    these is its own printable form. A text longer than `most` characters ends in ….
    """
    shown = "".join(
        c if c.isprintable() else " " if c == "\N{NO-BREAK SPACE}" else _escape(c) for c in text
    )
    return shown if most is None or len(shown) <= most else shown[: most - 1] + "…"


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that Python could not decode (surrogateescape)
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
