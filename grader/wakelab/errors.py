"""Errors that are meant for people: what went wrong, where, and what to do next."""


class UserError(Exception):
    """Something that the person at the keyboard can put right; shown without a traceback.

    what       one sentence
    where      the file, folder or setting meant; empty when `what` says it all
    next_step  what to type or change; empty when nothing can be advised
    """

    def __init__(self, what: str, where: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.next_step = next_step

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.next_step:
            lines.append(f"  next:  {self.next_step}")
        return "\n".join(lines)


class InfraError(UserError):
    """The fault is ours or the machine's, never the student's: the verdict is `infra`."""
