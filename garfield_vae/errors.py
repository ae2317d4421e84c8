"""The one kind of error that a person is meant to read."""


class UserError(Exception):
    """A fault that the person at the keyboard can mend.

    Its text is one sentence that says what was wrong and what to do about it. The scripts print
    it without a traceback and end with status 2; everything else is a bug and keeps its traceback.
    """
