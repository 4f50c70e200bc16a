"""The one error tree. Messages are sentences for the person in front of the screen: "expected X, was Y"."""

from __future__ import annotations


class FathomError(Exception):
    """Base of every error the program raises on purpose."""


class SettingsError(FathomError):
    """A setting has an unknown key or a value outside its bounds."""


class RecordingError(FathomError):
    """A recording or capture file cannot be read."""


class StorageError(FathomError):
    """The database or the tick store refuses work."""


class FeedError(FathomError):
    """A venue's feed failed."""


class RetryableFeedError(FeedError):
    """The feed may work when tried again after a pause."""


class FatalFeedError(FeedError):
    """Trying again cannot help; the reason is shown and the job stops."""


class BadFrameError(FeedError):
    """Outside data does not have the documented shape; counted, never fatal."""
