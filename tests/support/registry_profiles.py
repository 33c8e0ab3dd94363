# SPDX-License-Identifier: GPL-2.0-or-later
"""What registries are known to do differently, with a public source for each; ``profiled_registry`` imitates them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from fedpkg_container.registry.manifests import ARTIFACT_MANIFEST, MANIFEST, MANIFEST_LIST

#: Referrers API: implemented, or redirected to a web page on another host; a number is the status of the response.
API, AWAY, PAGE, EMPTY = "api", "away", "page", "empty"
#: Page sizes larger than the registry's: a smaller page with a link, HTTP 400, or everything without pages.
SMALLER, REFUSED, ALL = "smaller", "refused", "all"
#: Mounts: as specified; reported without effect. A number is the status of the response.
MOUNTS, INEFFECTIVE = "mounts", "ineffective"
#: Deletion: by digest with all tags; only after the tags; accepted but without effect; not of what an index refers to.
#: A number is a status.
BY_DIGEST, TAGS_FIRST, KEEPS, UNREFERENCED = "by digest", "tags first", "keeps", "unreferenced"
#: Blobs: from the registry, redirected to storage, or to storage that refuses HEAD.
OWN, STORAGE, SIGNED = "own", "storage", "signed"
VERBS = (
    "promote",
    "promote --stage",
    "promote --sign",
    "list",
    "mirror",
    "catalog",
    "unpromote",
    "unpromote --delete",
    "prune",
    "import-base",
)
#: Verbs that need deletion.
DELETES = ("unpromote --delete", "prune")


@dataclass(frozen=True)
class Profile:
    """Behaviors of a registry.

    :param title: in the documentation
    :param sources: behavior → where it is documented or reported
    :param subject_header: whether it confirms the subject of an artifact (``OCI-Subject``)
    :param catalog: status of the list of repositories
    :param page: number of entries per page
    :param missing: status for manifests and blobs that do not exist
    :param head_blob: status of HEAD for a blob; 0: as for GET
    :param immutable: status of a request to move a tag; 0: allowed
    :param takes_tags_for_digests: whether the tag ``sha256-HEX`` is the manifest ``sha256:HEX``
    :param late: seconds until a change is seen
    :param rejects: media types of manifests that it rejects
    :param read_only: status of every change; 0: not read-only
    :param setting: what a site sets for it, in the documentation
    :param verbs: those that are tested; of a single behavior only the ones that it concerns
    :param outcomes: verb → part of the message if it is not simply done
    """

    name: str
    title: str
    sources: Mapping[str, str] = field(default_factory=dict)
    referrers: str | int = API
    subject_header: bool = True
    catalog: int = 200
    page: int = 1000
    larger_pages: str = SMALLER
    missing: int = 404
    start_upload: int = 202
    mount: str | int = MOUNTS
    delete: str | int = BY_DIGEST
    blobs: str = OWN
    head_blob: int = 0
    immutable: int = 0
    takes_tags_for_digests: bool = False
    late: float = 0.0
    rejects: tuple[str, ...] = ()
    read_only: int = 0
    setting: str = ""
    verbs: tuple[str, ...] = VERBS
    outcomes: Mapping[str, str] = field(default_factory=dict)


def _issue(repository: str, number: int) -> str:
    return f"https://github.com/{repository}/issues/{number}"


_CANNOT_DELETE = dict.fromkeys(DELETES, "deletion is disabled")
_NO_CATALOG = {"prune": "does not list its repositories"}
#: Many hosted registries have no list of repositories.
_NO_CATALOG_SOURCE = {"no list of repositories": _issue("regclient/regclient", 539)}

DOCKER_REGISTRY_2 = Profile(
    "docker-registry-2",
    "docker-registry 2.8",
    {
        "no referrers API": "https://distribution.github.io/distribution/spec/api/",
        "ignores page sizes of tags": _issue("distribution/distribution", 1936),
    },
    referrers=404,
    subject_header=False,
    larger_pages=ALL,
    rejects=(ARTIFACT_MANIFEST,),
    setting="`storage.delete.enabled: true` for `unpromote --delete` and `prune`",
)
DOCKER_REGISTRY_3 = Profile(
    "docker-registry-3",
    "docker-registry 3",
    {"3.1.0 rejects larger pages than tags.maxtags": _issue("distribution/distribution", 4844)},
    referrers=404,
    subject_header=False,
    page=2,
    larger_pages=REFUSED,
    rejects=(ARTIFACT_MANIFEST,),
    setting="`storage.delete.enabled: true` for `unpromote --delete` and `prune`",
)
QUAY = Profile(
    "quay",
    "Quay",
    {
        "pages of 50 tags": _issue("ivanilves/lstags", 185),
        "rejects unknown artifacts": "https://github.com/deckhouse/deckhouse/pull/10672",
    },
    page=2,
    rejects=(ARTIFACT_MANIFEST,),
    setting="`ALLOWED_OCI_ARTIFACT_TYPES` for SBOMs and signatures that it rejects",
)
GHCR = Profile(
    "ghcr",
    "GitHub (ghcr.io)",
    {
        "referrers API redirects to github.com with 303": _issue("artifacthub/hub", 4785),
        "no deletion": _issue("podman-container-tools/skopeo", 1880),
        "shows tags late": _issue("p2pool-starter-stack/pithead", 429),
        "signed URLs refuse HEAD": "https://github.com/containerd/stargz-snapshotter/pull/167",
        **_NO_CATALOG_SOURCE,
    },
    referrers=AWAY,
    subject_header=False,
    catalog=404,
    delete=405,
    blobs=SIGNED,
    late=0.05,
    setting="`repositories` without wildcards in `[mirror]`; delete images in its web interface",
    outcomes={**_CANNOT_DELETE, **_NO_CATALOG},
)
ARTIFACT_REGISTRY = Profile(
    "artifact-registry",
    "Google Artifact Registry",
    {
        "referrers API redirects to a login page": "https://github.com/awslabs/soci-snapshotter/pull/512",
        "deletes only untagged manifests": _issue("genuinetools/reg", 136),
    },
    referrers=PAGE,
    subject_header=False,
    delete=TAGS_FIRST,
    blobs=STORAGE,
)
HARBOR_2_7 = Profile(
    "harbor-2.7",
    "Harbor before 2.8",
    {
        "referrers API responds with 401 without a challenge": _issue("goharbor/harbor", 18305),
        "mount from an unknown project": _issue("goharbor/harbor", 17097),
    },
    referrers=401,
    subject_header=False,
    mount=401,
)
HARBOR = Profile(
    "harbor",
    "Harbor 2.8 and later",
    {
        "referrers API": _issue("goharbor/harbor", 18305),
        "mount from an invalid name": _issue("goharbor/harbor", 22078),
        "immutable tags respond with 412": "https://github.com/goharbor/harbor/pull/9427",
    },
    mount=400,
    page=3,
    setting="`floating = none` for a project with immutable tags",
)
GITLAB = Profile(
    "gitlab",
    "GitLab",
    {"takes sha256-HEX for the digest, no referrers API": _issue("oras-project/oras-go", 1396), **_NO_CATALOG_SOURCE},
    referrers=404,
    subject_header=False,
    takes_tags_for_digests=True,
    catalog=401,
    setting="`repositories` without wildcards in `[mirror]`. SBOMs and signatures are copied, but clients cannot list"
    " them; images are signed in the format `tag` only",
    outcomes=_NO_CATALOG,
)
ECR = Profile(
    "ecr",
    "Amazon ECR",
    {
        "referrers API": "https://aws.amazon.com/about-aws/whats-new/2024/06/amazon-ecr-oci-image-distribution-version-1-1",
        "mounts only if enabled": "https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html",
        "HEAD of a blob responds with 401": _issue("aws/containers-roadmap", 2671),
        "immutable tags": _issue("aws/containers-roadmap", 862),
        **_NO_CATALOG_SOURCE,
    },
    catalog=404,
    mount=202,
    blobs=SIGNED,
    head_blob=401,
    page=100,
    setting="create the repositories first; `floating = none` with immutable tags; `repositories` without wildcards in"
    " `[mirror]`; account setting `BLOB_MOUNTING`",
    outcomes=_NO_CATALOG,
)
ACR = Profile(
    "acr",
    "Azure Container Registry",
    {
        "ignores larger pages": _issue("Azure/acr", 749),
        "referrers API of a cache rule responds with 424": _issue("Azure/acr", 891),
        "replicas show content late": _issue("Azure/acr", 880),
    },
    referrers=424,
    subject_header=False,
    page=5,
    late=0.05,
)
ARTIFACTORY = Profile(
    "artifactory",
    "JFrog Artifactory",
    {
        "403 for manifests that do not exist": _issue("sigstore/cosign", 2973),
        "referrers API responds with 406": "https://github.com/google/go-containerregistry/pull/2026",
    },
    referrers=406,
    subject_header=False,
    missing=403,
)
DOCKER_HUB = Profile(
    "docker-hub",
    "Docker Hub",
    {
        "no list of repositories": _issue("docker/hub-feedback", 2094),
        "no deletion": _issue("docker/hub-feedback", 2360),
        "referrers API requested": _issue("docker/roadmap", 724),
        "immutable tags respond with 403": _issue("docker/hub-feedback", 2466),
    },
    referrers=404,
    subject_header=False,
    catalog=401,
    delete=405,
    blobs=STORAGE,
    setting="`repositories` without wildcards in `[mirror]`; delete images in its web interface",
    outcomes={**_CANNOT_DELETE, **_NO_CATALOG},
)
ZOT = Profile(
    "zot",
    "zot",
    {
        "Docker's media types must be enabled": "https://zotregistry.dev/v2.1.18/articles/docker/",
        "keeps manifests that an index refers to": "https://github.com/project-zot/zot/pull/2626",
    },
    delete=UNREFERENCED,
    setting='`http.compat: ["docker2s2"]` for images in Docker\'s format',
)
#: Registries by name.
PRODUCTS = (
    DOCKER_REGISTRY_2, DOCKER_REGISTRY_3, QUAY, GHCR, ARTIFACT_REGISTRY, HARBOR_2_7, HARBOR, GITLAB, ECR, ACR,
    ARTIFACTORY, DOCKER_HUB, ZOT,
)  # fmt: skip

_PLAIN = Profile("plain", "")
_REFERRERS = replace(_PLAIN, subject_header=False, verbs=("promote", "mirror", "catalog", "import-base"))
_IMMUTABLE = {"unpromote": "if tags are immutable there, set floating = none", "promote": "floating = none"}
#: Single behaviors, of which any registry or a proxy in front of it may have one.
BEHAVIORS = (
    replace(_REFERRERS, name="referrers-501", title="referrers API: 501", referrers=501),
    replace(_REFERRERS, name="referrers-403", title="referrers API: 403", referrers=403),
    replace(
        _REFERRERS,
        name="referrers-empty",
        title="referrers API: always empty",
        sources={"false 200": "https://github.com/sigstore/sigstore-js/pull/1187"},
        referrers=EMPTY,
    ),
    replace(
        _PLAIN,
        name="upload-200",
        title="upload started with 200",
        start_upload=200,
        mount=200,
        verbs=("promote", "import-base"),
    ),
    replace(_PLAIN, name="mount-500", title="mount: 500", mount=500, verbs=("promote",)),
    replace(_PLAIN, name="mount-ineffective", title="mount: 201 without effect", mount=INEFFECTIVE, verbs=("promote",)),
    replace(
        _PLAIN,
        name="late",
        title="changes seen late",
        late=0.2,
        referrers=404,
        subject_header=False,
        verbs=("promote", "promote --stage", "promote --sign", "unpromote --delete"),
    ),
    replace(
        _PLAIN,
        name="deletes-nothing",
        title="deletion accepted, without effect",
        delete=KEEPS,
        verbs=DELETES,
        outcomes={"unpromote --delete": "still exists after it was deleted", "prune": "still exists"},
    ),
    replace(
        _PLAIN,
        name="deletion-403",
        title="deletion denied",
        delete=403,
        outcomes=dict.fromkeys(DELETES, "still exists"),
    ),
    replace(
        _PLAIN,
        name="deletion-404",
        title="deletion of what exists: 404",
        sources={"404 for deletion": _issue("aws/containers-roadmap", 1229)},
        delete=404,
        verbs=DELETES,
        outcomes=_CANNOT_DELETE,
    ),
    *(
        replace(
            _PLAIN,
            name=f"immutable-{status}",
            title=f"immutable tags: {status}",
            immutable=status,
            verbs=("promote", "unpromote"),
            outcomes=_IMMUTABLE,
        )
        for status in (400, 403, 409, 412)
    ),
    replace(
        _PLAIN,
        name="oci-only",
        title="Docker's media types rejected",
        rejects=(MANIFEST, MANIFEST_LIST),
        verbs=("promote", "import-base"),
        outcomes=dict.fromkeys(VERBS, "MANIFEST_INVALID"),
    ),
    *(
        replace(
            _PLAIN,
            name=f"read-only-{status}",
            title=f"read-only: {status}",
            read_only=status,
            verbs=("promote", "promote --stage", "list", "mirror", "catalog", "prune", "import-base"),
            outcomes={**dict.fromkeys(VERBS, "is read-only"), "list": "", "mirror": "", "catalog": ""},
        )
        for status in (405, 503)
    ),
)
PROFILES = {profile.name: profile for profile in (*PRODUCTS, *BEHAVIORS)}
CASES = tuple((name, verb) for name, profile in PROFILES.items() for verb in profile.verbs)
#: Behaviors of copying, which other verbs than promote meet because their tests promote too.
_COPYING = {"mount", "start_upload", "blobs", "head_blob", "rejects", "subject_header", "catalog"}
#: Behaviors of writing.
_WRITING = {"mount", "start_upload", "rejects", "subject_header", "immutable", "delete", "late", "read_only"}
#: Behaviors that do not concern a verb: a quick run has one case of each other behavior.
UNCONCERNED = {
    "promote": {"delete", "catalog"},
    "promote --stage": _COPYING,
    "promote --sign": {"mount", "start_upload", "blobs", "head_blob", "catalog", "delete"},
    "unpromote": {*_COPYING, "referrers", "delete"},
    "unpromote --delete": _COPYING,
    "list": {*_WRITING, "blobs", "head_blob", "referrers"},
    "mirror": _WRITING - {"read_only"},
    "prune": {"mount", "start_upload", "blobs", "head_blob", "rejects", "subject_header", "immutable"},
    "import-base": {"delete", "catalog", "mount"},
}
#: Fields of a profile that are not behaviors.
_DESCRIPTIONS = {"name", "title", "sources", "setting", "verbs", "outcomes"}


def _shown(name: str, verb: str) -> set[tuple[str, str, object]]:
    """Behaviors with which a case tests its verb, and its outcome.

    Pages of any size are one behavior; for other verbs than promote, so are the statuses of registries that do not move
    a tag, or have no referrers API.
    """
    profile = PROFILES[name]
    values = {each.name: getattr(profile, each.name) for each in fields(profile)}
    values |= {"page": profile.page < _PLAIN.page, "late": profile.late > 0, "outcome": profile.outcomes.get(verb, "")}
    if verb != "promote":
        has_status = isinstance(profile.referrers, int)
        values |= {"immutable": profile.immutable > 0, "referrers": "status" if has_status else profile.referrers}
    return {
        (verb, key, value) for key, value in values.items() if key not in _DESCRIPTIONS | UNCONCERNED.get(verb, set())
    }


def quick_cases() -> set[tuple[str, str]]:
    """All cases but those whose behaviors and outcome other cases of the verb show too."""
    chosen = set[tuple[str, str]]()
    shown = {case: _shown(*case) for case in CASES}
    missing = set[tuple[str, str, object]]().union(*shown.values())
    while missing:
        best = max(shown, key=lambda case: len(shown[case] & missing))
        chosen.add(best)
        missing -= shown[best]
    return chosen
