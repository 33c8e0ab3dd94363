# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for fedpkg-container, for fedpkg if this project provides it, and for fedpkg-container-registry,
# fedpkg-container-box and fedpkg-container-cluster; by argcomplete. Installed under each of these names below
# bash-completion/completions, or sourced: docs/howto/completion.md.
if command -v register-python-argcomplete >/dev/null 2>&1; then
    eval "$(register-python-argcomplete --no-defaults fedpkg-container fedpkg fedpkg-container-registry fedpkg-container-box fedpkg-container-cluster)"
fi
