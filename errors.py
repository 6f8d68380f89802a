"""The one error a user sees: what is wrong, where, and what to do about it."""


class FacebenchError(Exception):
    """A mistake in the input or its surroundings, told in one line.

    Args:
        message: what is wrong and where (the file, the subject, the option).
        hint: what to do about it; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[type["FacebenchError"], tuple[str, str]]:
        """Keep both parts when the error crosses a process boundary."""
        return type(self), (self.message, self.hint)
