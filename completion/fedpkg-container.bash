# bash completion for fedpkg-container, and for fedpkg where this project provides it; by argcomplete.
# Installed as fedpkg-container and fedpkg below bash-completion/completions, or sourced: docs/completion.md.
if command -v register-python-argcomplete >/dev/null 2>&1; then
    eval "$(register-python-argcomplete --no-defaults fedpkg-container fedpkg)"
fi
