# SPDX-License-Identifier: GPL-2.0-or-later
# fish completion for fedpkg-container, for fedpkg if this project provides it, and for the other programs; by
# argcomplete. Installed under each of their names, as fedpkg.fish, below fish/vendor_completions.d, or sourced: docs/howto/completion.md.
if command -q register-python-argcomplete
    for program in fedpkg-container fedpkg fedpkg-container-registry fedpkg-container-box fedpkg-container-cluster
        register-python-argcomplete --shell fish $program | source
    end
end
