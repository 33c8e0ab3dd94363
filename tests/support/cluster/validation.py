# SPDX-License-Identifier: GPL-2.0-or-later
"""Validation of objects against the published OpenAPI of the oldest and the newest supported release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kubernetes_validate

from fedpkg_container.box.cluster.store import ApiError
from tests.support.installed import require

#: The oldest release with all fields that we use (appArmorProfile), and the newest with published schemas.
VERSIONS = ("1.30", "1.37")
#: Kinds of OpenShift, which have no published schema here.
WITHOUT_SCHEMA = ("build.openshift.io/v1", "security.openshift.io/v1")


def validate(content: Mapping[str, Any]) -> None:
    """Refuse an object with unknown fields or values of wrong types (a3: fieldValidation=Strict, 400)."""
    if content.get("apiVersion") in WITHOUT_SCHEMA:
        return
    require("jsonschema", "4.18")
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(content, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            raise ApiError(400, "BadRequest", f"strict decoding error ({version}): {error.message}") from error
