# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of the checkout. The commands of the examples are typed in a checkout of ``container/hello``."""

from fedpkg_container.model.checks.check import Check, Example, commands
from fedpkg_container.model.findings import ERROR, WARNING

_BUILD = "fedpkg container-build"
_EDIT = 'sed -i \'s/version="1.0"/version="1.1"/\' Dockerfile'

CHECKS = {
    "namespace": Check(
        "the repository is in a container namespace",
        ERROR,
        "Builders accept sources only from the container namespaces. The usual cause is a checkout of the RPM package"
        " of the same name.",
        wrong=commands("cd ~/rpms", "fedpkg clone rpms/hello", "cd hello", _BUILD),
        right=commands("cd ~/container", "fedpkg clone container/hello", "cd hello", _BUILD),
    ),
    "detached-head": Check(
        "the checkout is on a branch",
        ERROR,
        "The build target is derived from the branch. A detached HEAD is only a warning if --release names a branch.",
        wrong=commands("git checkout --quiet --detach", _BUILD),
        right=commands("git checkout --quiet --detach", "git switch rawhide", _BUILD),
    ),
    "branch": Check(
        "the name of the branch matches the site's naming rule",
        WARNING,
        "The build target is derived from the name of the branch, and there is probably no target for other names.",
        wrong=commands("git switch -c my-fix", "git push -u origin my-fix", _BUILD),
        right=commands("git switch -c f44", "git push -u origin f44", _BUILD),
    ),
    "uncommitted": Check(
        "there are no uncommitted changes to tracked files",
        ERROR,
        "Builders check out the commit from dist-git. Changes that exist only in the working tree would not be in the"
        " image.",
        wrong=commands(_EDIT, _BUILD),
        right=commands(_EDIT, 'git commit -am "Update to 1.1"', "fedpkg push", _BUILD),
    ),
    "untracked": Check(
        "the files that decide what is built (Dockerfile, container.yaml and others) are tracked by git",
        ERROR,
        "Builders do not have untracked files, so they would build something other than what was checked.",
        wrong=commands('echo "# Hello" > help.md', _BUILD),
        right=commands(
            'echo "# Hello" > help.md', "git add help.md", 'git commit -m "Add a help page"', "fedpkg push", _BUILD
        ),
    ),
    "no-upstream": Check(
        "the branch tracks a dist-git branch",
        ERROR,
        "Builders fetch the commit from dist-git. A branch that was never pushed does not exist there.",
        wrong=commands("git switch -c f44", _BUILD),
        right=commands("git switch -c f44", "git push -u origin f44", _BUILD),
    ),
    "unpushed": Check(
        "all commits are pushed",
        ERROR,
        "Builders fetch the commit from dist-git. A commit that is not there cannot be built.",
        wrong=commands(_EDIT, 'git commit -am "Update to 1.1"', _BUILD),
        right=commands(_EDIT, 'git commit -am "Update to 1.1"', "fedpkg push", _BUILD),
    ),
    "behind": Check(
        "the checkout contains all commits of the dist-git branch",
        WARNING,
        "The build uses the commit of the checkout, without the commits that have been pushed since.",
        wrong=commands("git reset --quiet --hard HEAD~1", _BUILD),
        right=commands("git reset --quiet --hard HEAD~1", "fedpkg pull", _BUILD),
    ),
    "label-repository": Check(
        "the package is named after its repository (builders accept other names if the site allows it)",
        WARNING,
        "A Dockerfile copied from another container still has that container's name, so its builds would replace those"
        " of the other container.",
        wrong=commands("sed -i 's/hello-container/other-container/' Dockerfile", _BUILD),
        right=commands("sed -i 's/hello-container/hello/' Dockerfile", _BUILD),
    ),
    "lookaside": Check(
        "no file is both tracked by git and listed in sources",
        ERROR,
        "Builders download the files listed in sources into the checkout, where one of the two files would replace the"
        " other.",
        wrong=commands(
            "touch data.tar.gz",
            "echo 'd41d8cd98f00b204e9800998ecf8427e  data.tar.gz' > sources",
            "git add data.tar.gz sources",
            _BUILD,
        ),
        right=commands(
            "touch data.tar.gz",
            "echo 'd41d8cd98f00b204e9800998ecf8427e  data.tar.gz' > sources",
            "echo /data.tar.gz >> .gitignore",
            "git add .gitignore sources",
            _BUILD,
        ),
    ),
    "copy-untracked": Check(
        "sources of COPY and ADD are tracked by git",
        ERROR,
        "Builders have only the files that are in git or in the lookaside cache.",
        wrong=commands("touch hello.conf", "echo 'COPY hello.conf /etc/' >> Dockerfile", _BUILD),
        right=commands("touch hello.conf", "echo 'COPY hello.conf /etc/' >> Dockerfile", "git add hello.conf", _BUILD),
    ),
    "copy-left-out": Check(
        "directories copied by COPY and ADD contain no untracked files",
        WARNING,
        "A local build copies the untracked files along with the directory, but builders do not have them.",
        wrong=commands(
            "mkdir conf",
            "touch conf/a.conf conf/b.conf",
            "echo 'COPY conf /etc/hello/' >> Dockerfile",
            "git add conf/a.conf",
            _BUILD,
        ),
        right=commands(
            "mkdir conf",
            "touch conf/a.conf conf/b.conf",
            "echo 'COPY conf /etc/hello/' >> Dockerfile",
            "git add conf",
            _BUILD,
        ),
    ),
    "gating": Check(
        "gating.yaml is valid (rpkg's check; also skipped by --skip-remote-rules-validation)",
        ERROR,
        "Bodhi evaluates the file when the build is part of an update. Without this check, an invalid file would be"
        " noticed only then, and would block the update. The site's Greenwave service validates the file.",
        wrong=Example({"gating.yaml": "--- !Policy\nproduct_versions:\n  - fedora-*\nrules: []\n"}, commands=(_BUILD,)),
        right=Example(
            {
                "gating.yaml": "--- !Policy\nproduct_versions:\n  - fedora-*\n"
                "decision_context: bodhi_update_push_stable\nrules: []\n"
            },
            commands=(_BUILD,),
        ),
    ),
}
