# SPDX-License-Identifier: GPL-2.0-or-later
"""The settings of ``registry.conf``, and those that builders have too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from fedpkg_container.model.nvr import repository_problem, tag_problem
from fedpkg_container.registry.redirects.settings import SWITCH, Address
from fedpkg_container.registry.signing.settings import FORMATS, key_location, paths, public_name_problem
from fedpkg_container.registry.skopeo import COPY_TIMEOUT
from fedpkg_container.settings import (
    Key,
    command_line,
    existing_path,
    flag,
    number,
    path,
    registry,
    size,
    subset,
    words,
)

#: Name under which the settings of a connection are documented: they may be in every section with a registry.
ANY_REGISTRY = "any with a registry"
ACCESS_KEYS = (
    Key(
        ANY_REGISTRY, "certificates", existing_path,
        "directory with CA certificates (`*.crt`) and a client certificate (`*.cert`, `*.key`), as for "
        "podman",
        default_text="`~/.config/containers/certs.d/HOST`, `/etc/containers/certs.d/HOST`, the system's",
    ),
    Key(
        ANY_REGISTRY, "auth_file", existing_path, "credentials, as written by `skopeo login`",
        default_text="the user's auth file",
    ),
    Key(ANY_REGISTRY, "timeout", number("seconds"), "seconds for the transfer of one image", f"{COPY_TIMEOUT:g}"),
    Key(
        ANY_REGISTRY, "retry_timeout", number("seconds", minimum=0),
        "seconds for which requests to an unreachable registry, or one that returns 429 or 5xx, are retried; at least "
        "five times. It is also the maximum time to wait until a tag that was set can be read back, because in some "
        "registries changes become visible late. A `Retry-After` up to this time (at least 15 seconds, at most two "
        "minutes) is honored; after a longer one the request fails at once",
        "60", old=("patience",),
    ),
)  # fmt: skip
CONTENT_GENERATOR_KEYS = (
    Key(
        "content_generator", "name", str, "content generator under which images are imported into Koji",
        "fedpkg-container",
    ),
    Key(
        "content_generator", "certificate", existing_path, "PEM file with which the shared account logs in",
        default_text="the session of the builder, or of the Koji profile",
    ),
    Key("content_generator", "keytab", existing_path, "the same with Kerberos: keytab of `principal`"),
    Key("content_generator", "principal", str, "Kerberos principal of `keytab`"),
    Key("content_generator", "server_ca", existing_path, "CA of the hub's certificate", default_text="the system's"),
    Key(
        "content_generator", "archives", flag("store", "reference"),
        "`store`: Koji stores images as docker-archives; `reference`: Koji stores only their description and their "
        "location in the registry",
        "store",
    ),
)  # fmt: skip


def access_keys(section: str, **texts: str) -> tuple[Key, ...]:
    """Return the settings of the connection to the registry of a section.

    :param texts: name → another meaning
    """
    return tuple(replace(key, section=section, text=texts.get(key.name, key.text)) for key in ACCESS_KEYS)


def without_access(keys: Iterable[Key]) -> tuple[Key, ...]:
    """Return the settings that are not those of a connection."""
    return tuple(key for key in keys if key.name not in {each.name for each in ACCESS_KEYS})


def _unchecked_path(text: str) -> Path | None:
    """Return a path for ``FrontEnd``, which checks it."""
    return Path(text) if text else None


def _web_url(text: str) -> str:
    """Return an http or https URL without trailing slash; may be empty."""
    return str(Address.parse(text)) if text else ""


def _address_problem(text: str) -> str:
    """Return why a URL is invalid; empty if it is valid."""
    try:
        Address.parse(text)
    except ValueError as error:
        return str(error)
    return ""


def _prefix(text: str) -> str:
    """Return a prefix of repository names without trailing slash; may be empty."""
    prefix = text.rstrip("/")
    if prefix and (problem := repository_problem(prefix)):
        raise ValueError(problem)
    return prefix


#: The front end: ``FrontEnd`` checks the values, and which are missing.
REDIRECTS_KEYS = (
    Key(
        "redirects", "names", words(), "host names that clients use for the registry", default_text="required"
    ),
    Key(
        "redirects", "certificate", _unchecked_path, "PEM file of the certificate for all names, with its chain",
        default_text="required",
    ),
    Key("redirects", "key", _unchecked_path, "PEM file of its private key", default_text="that in `certificate`"),
    Key(
        "redirects", "registry", str,
        "the registry itself, `https://NAME:PORT`; `http://127.0.0.1:PORT` if it is on the same machine. Not an IP "
        "address with https: neither server matches one against a certificate",
        default_text="required",
    ),
    Key(
        "redirects", "registry_ca", _unchecked_path,
        "PEM file of the CA certificates for the registry's certificate, which is verified",
        default_text="required with https",
    ),
    Key(
        "redirects", "mirror", str, "base URL below which `v2/NAME/blobs/DIGEST` is found", default_text="required"
    ),
    Key(
        "redirects", "no_cdn_names", words(),
        "further host names, under which nothing is redirected; the certificate must contain them too",
        default_text="none",
    ),
    Key(
        "redirects", "via", words(),
        "words, one of which is in the `Via` header of the CDN's own requests; case is ignored", default_text="none",
    ),
    Key(
        "redirects", "networks", words(), "networks whose requests are not redirected: builders, the CDN",
        default_text="none",
    ),
    Key(
        "redirects", "tree", _unchecked_path,
        "the mirror's directory, as seen on this machine: blobs that are not in it are not redirected. `none`: every "
        "blob is redirected, e.g. to a CDN that fetches missing ones from the registry",
        default_text="`[mirror] directory`",
    ),
    Key(
        "redirects", "catalog", _unchecked_path,
        "directory of the catalog as seen on this machine, served below `/catalog/`; `/` is redirected to it",
        default_text="none",
    ),
    Key("redirects", "switch", _unchecked_path, "path of the off switch", str(SWITCH)),
    Key("redirects", "listen", words(), "ports for TLS on all addresses, or addresses with ports", "443"),
    Key(
        "redirects", "plain_listen", words(),
        "the same for http, which redirects every request to https with 308", default_text="none: no http",
    ),
)  # fmt: skip
KEYS = (
    Key("koji", "profile", str, "Koji profile of the hub", "koji"),
    Key("candidate", "registry", registry, "the registry that builders push to, host and port", None),
    Key("candidate", "keep", number("days"), "days after which `prune` may delete an unneeded image", "30"),
    *access_keys("candidate"),
    Key(
        "target NAME", "registry", registry,
        "the registry to promote to, host and port: the stable registry, or a public hub", None,
    ),
    Key(
        "target NAME", "prefix", _prefix,
        "prefix of repository names in the target: `fedora` maps `hello` to `fedora/hello`", default_text="none",
    ),
    Key(
        "target NAME", "koji_tags", words(),
        "the Koji tags whose builds may be promoted, a list of patterns (`*`, `?`)", None,
    ),
    Key(
        "target NAME", "floating", words(tag_problem, none=True),
        "tags that move to each newer build, in the order in which they are set: `version` is the build's version, "
        "`recorded` the tags that Koji recorded (tags of container.yaml), other words are literal tags; or `none`, "
        "e.g. for a registry with immutable tags",
        default_text="`version latest`; for a target named `testing`: `version testing`",
    ),
    Key(
        "target NAME", "sign", flag("required", "optional"),
        "`required`: every promotion is signed before its tags are set; `optional`: only with `promote --sign`",
        "optional",
    ),
    Key(
        "target NAME", "signature_formats", subset(*FORMATS),
        "formats of the signatures: `bundle` for cosign 3, a sigstore bundle that refers to the image; `tag` for older "
        "cosign, podman and skopeo, the tag `sha256-HEX.sig`",
        " ".join(FORMATS),
    ),
    Key(
        "target NAME", "public_names", words(public_name_problem),
        "host names under which clients pull the images, each with the prefix of repository names, e.g. "
        "`registry.example.org/fedora`. Signatures in the format `tag` contain them",
        default_text="`registry` and `prefix`",
    ),
    *access_keys("target NAME"),
    Key(
        "promotion", "record", path,
        "the promotion journal: a file with one JSON line per step, for what was promoted when and by whom",
        default_text="no journal",
    ),
    Key("promotion", "parallel", number("images"), "number of images promoted in parallel", "4"),
    Key(
        "signing", "key", key_location,
        "private key: a PEM file as written by `cosign generate-key-pair` or openssl, or a key in a token, "
        "`pkcs11:token=LABEL;object=LABEL?module-path=/PATH&pin-source=/PATH` (needs pkcs11-tool of OpenSC)",
        default_text="none",
    ),
    Key(
        "signing", "password_file", path,
        "file with the password of `key`, or the PIN of the token",
        default_text="the variable `FEDPKG_CONTAINER_SIGNING_PASSWORD`",
    ),
    Key(
        "signing", "command", command_line,
        "instead of `key`: a program with arguments, which gets a SHA-256 digest of 32 bytes on its standard input "
        "and prints the signature",
        default_text="none",
    ),
    Key(
        "signing", "public_key", path, "PEM file of the public key",
        default_text="derived from `key`; required for a token or `command`",
    ),
    Key(
        "signing", "accepted_keys", paths,
        "PEM files of further public keys whose signatures are valid, e.g. of previous ones", default_text="none",
    ),
    Key("signing", "command_timeout", number("seconds"), "seconds for one signature by a token or `command`", "60"),
    Key(
        "messages", "command", command_line,
        "program that is run for each message, with its arguments, quoted as in a shell. It gets the message as a line "
        "of JSON on standard input, and must end with exit status 0",
        default_text="no messages",
    ),
    Key(
        "messages", "fedora_messaging", existing_path,
        "instead of `command`: configuration file of fedora-messaging, which publishes to an AMQP exchange",
        default_text="no messages",
    ),
    Key("messages", "timeout", number("seconds"), "seconds after which sending a message fails", "30"),
    Key("mirror", "target", str, "target whose tags are followed", "stable"),
    Key(
        "mirror", "registry", registry,
        "host name for blob requests to the target's registry. If a front end redirects to the mirrors, use a name "
        "that it does not redirect (`no_cdn_names`), or the mirror would be filled from itself",
        default_text="that of the target",
    ),
    Key("mirror", "directory", path, "output directory", default_text="given on the command line"),
    Key("mirror", "repositories", words(), "patterns of repository names, a list", "*"),
    Key("mirror", "parallel", number("requests"), "number of parallel requests", "8"),
    Key("mirror", "grace", number("days", minimum=0), "days to keep a blob that no tag references any more", "7"),
    Key(
        "mirror", "rate", size, "bandwidth limit in bytes per second, for all requests together",
        "0", default_text="no limit",
    ),
    Key("mirror", "archives", flag(), "`yes`: also export images as docker-archives", "no"),
    Key(
        "mirror", "probe", words(_address_problem),
        "base URLs of mirrors and CDNs, below which `v2/NAME/blobs/DIGEST` is found: `promote --publish` checks that "
        "they have the blobs, and `mirror --probe` compares them with the tree",
        default_text="none",
    ),
    Key("catalog", "target", str, "target that is shown", "stable"),
    Key("catalog", "directory", path, "output directory", default_text="given on the command line"),
    Key(
        "catalog", "url", _web_url, "public URL of the catalog, for absolute links in the feed",
        default_text="none: relative links",
    ),
    *CONTENT_GENERATOR_KEYS,
    Key(
        "limits", "base_image_size", size,
        "maximum size in bytes of an imported base image: of its archive, or of all its blobs in a registry, "
        "compressed",
        "10G",
    ),
    Key(
        "limits", "decompressed_size", size,
        "maximum size in bytes of a decompressed archive, and of each layer of a docker-archive. Reading an archive "
        "may need three times as much space in `state`",
        "20G",
    ),
    Key(
        "limits", "archive_members", number("files"),
        "maximum number of files in an archive, or in a directory with an OCI layout", "10000",
    ),
    Key(
        "engine", "state", path,
        "directory for base images while they are inspected; a builder may share its own", "/var/lib/fedpkg-container",
    ),
    *REDIRECTS_KEYS,
)  # fmt: skip
