"""Configurations of images: what an image says of itself (OCI image specification, Docker's v1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedpkg_container.errors import RegistryError
from fedpkg_container.registry.digests import checked

#: The keys that say what an image runs on.
_PLATFORM = ("architecture", "os", "variant")


@dataclass(frozen=True)
class ImageConfiguration:
    """The configuration of an image, of which everything that is read here has the right type.

    :param content: all of it, as it was written
    :param where: whose it is, for errors
    """

    content: Mapping[str, Any]
    where: str

    @classmethod
    def read(cls, raw: bytes | str, *, where: str) -> ImageConfiguration:
        """Read what a registry, an archive or a task has.

        :raises RegistryError: it is not the configuration of an image
        """
        try:
            content = json.loads(raw if isinstance(raw, str) else raw.decode(), parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise RegistryError(f"the configuration of {where} is not JSON: {error}") from error
        if not isinstance(content, dict):
            raise RegistryError(f"the configuration of {where} is not a JSON object")
        configuration = cls(content, where)
        _ = configuration.platform, configuration.labels
        return configuration

    @property
    def platform(self) -> dict[str, str]:
        """What it runs on, as lists name it: the keys that it has.

        :raises RegistryError: one is not text
        """
        found = {key: self.content[key] for key in _PLATFORM if self.content.get(key) is not None}
        for key, value in found.items():
            if not isinstance(value, str):
                raise self._wrong(f"{key} is not text")
        return {key: value for key, value in found.items() if value}

    @property
    def labels(self) -> dict[str, str]:
        """Its labels.

        :raises RegistryError: a label is not text
        """
        config = self.content.get("config")
        if config is not None and not isinstance(config, dict):
            raise self._wrong("config is not an object")
        labels = (config or {}).get("Labels")
        if labels is None:
            return {}
        if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
            raise self._wrong("config.Labels is not an object of texts")
        return dict(labels)

    @property
    def diff_ids(self) -> list[str]:
        """Digests of the contents of its layers, oldest first.

        :raises RegistryError: it does not have them
        """
        rootfs = self.content.get("rootfs")
        found = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        if not isinstance(found, list):
            raise self._wrong("rootfs.diff_ids is not a list")
        return [checked(each) for each in found]

    def _wrong(self, what: str) -> RegistryError:
        return RegistryError(f"the configuration of {self.where} is not one of an image: {what}")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
