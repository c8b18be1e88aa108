"""The URL of a place in an object store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from runtime.errors import ConfigError
from runtime.system.path_text import readable

SCHEMES = ("s3", "gs", "az")


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """An object, or the common prefix of several."""

    scheme: str
    bucket: str
    """Azure calls it a container."""
    key: str
    """Without slashes around it; empty for the whole bucket."""
    is_folder: bool = False
    """Whether a trailing slash says that it is a folder, not an object."""

    @classmethod
    def parse(cls, text: str) -> StoreUrl | None:
        """Read a URL.

        Returns:
            None where the text is no URL but a path.

        Raises:
            ConfigError: it names no bucket, or says more than a place.
        """
        scheme, separator, rest = text.partition("://")
        if not separator or not scheme.isalnum():
            return None
        if scheme.lower() not in SCHEMES:
            raise ConfigError(f"{text} is not in a supported store: expected s3://, gs:// or az://")
        bucket, _, key = readable(rest).partition("/")
        if "@" in bucket:
            raise ConfigError(
                f"{scheme}://... holds credentials, which others can see on a command line: "
                "set them in the environment"
            )
        if not bucket or "//" in key.strip("/"):
            raise ConfigError(f"{text} is not a URL in a store: expected {scheme}://BUCKET/FOLDER")
        return cls(scheme.lower(), bucket, key.strip("/"), is_folder=not key or key.endswith("/"))

    @property
    def root(self) -> str:
        """The bucket's own URL."""
        return f"{self.scheme}://{self.bucket}"

    @property
    def name(self) -> PurePosixPath:
        """The key's last part."""
        return PurePosixPath(PurePosixPath(self.key).name)

    def child(self, name: str) -> StoreUrl:
        """Return the object with this name below it."""
        return replace(self, key=f"{self.key}/{name}" if self.key else name, is_folder=False)

    def holds(self, other: StoreUrl) -> bool:
        """Return whether another place is this one or lies below it."""
        below = not self.key or f"{other.key}/".startswith(f"{self.key}/")
        return self.root == other.root and below

    def __str__(self) -> str:
        return f"{self.root}/{self.key}"
