"""Every error a user can meet: an exit code, what happened, where, and what to do next."""

from __future__ import annotations


class GenaiAuditError(Exception):
    """Base of all expected errors.

    `what` is one sentence, `where` a file, line, key or window, `next_step` an instruction.
    None of them may carry a person's name, address or object id.
    """

    exit_code = 70

    def __init__(self, what: str, *, where: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.what} ({self.where})" if self.where else self.what


class QualityGateError(GenaiAuditError):
    """A critical quality check failed, or `--fail-on` was hit; nothing was published."""

    exit_code = 1


class UsageError(GenaiAuditError):
    """The command line asks for something that doesn't exist or contradicts itself."""

    exit_code = 2


class BadDataError(GenaiAuditError):
    """A file or a service's answer is not what it says it is."""

    exit_code = 65


class IntegrityError(BadDataError):
    """Landed or parsed evidence was altered, truncated or is missing."""


class SourceUnavailableError(GenaiAuditError):
    """A source can't be reached, refuses, or did not answer before the deadline."""

    exit_code = 69


class PermissionMissingError(SourceUnavailableError):
    """The source answered, and said that this application may not read it."""


class SoftwareError(GenaiAuditError):
    """Our own bug."""

    exit_code = 70


class BusyError(GenaiAuditError):
    """Another run holds the workspace."""

    exit_code = 75


class ConfigurationError(GenaiAuditError):
    """`genai-audit.toml`, a key file, a register or an environment variable is wrong."""

    exit_code = 78
