"""Which paths are blobs, as a regular expression that nginx and httpd (PCRE) read alike.

Names are those of distribution's reference grammar, digests those of OCI's image specification, of which the
reference grammar's are a part, with capitals in the algorithm besides. What stands behind the last ``/blobs/`` is a
digest when it has a colon, which neither names nor uploads have: so a name may have parts that are called ``blobs``,
``uploads`` or ``manifests``.
"""

from __future__ import annotations

from fedpkg_container.model.nvr import REPOSITORY_COMPONENT

#: The longest name of a repository, characters.
LONGEST_NAME = 255

_NAME = rf"{REPOSITORY_COMPONENT}(?:/{REPOSITORY_COMPONENT})*"
_ALGORITHM = r"[A-Za-z0-9]+(?:[+._-][A-Za-z0-9]+)*"
_ENCODED = r"[A-Za-z0-9=_-]+"

#: The decoded path of a blob. It ends in ``\z``: before a newline at the end, which came as %0A, ``$`` would match too.
BLOB = rf"^/v2/(?=.{{1,{LONGEST_NAME}}}/blobs/[^/]+\z){_NAME}/blobs/{_ALGORITHM}:{_ENCODED}\z"
