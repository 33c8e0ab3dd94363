# bash completion for fedpkg-container, and for fedpkg where this project provides it; by argcomplete.
if command -v register-python-argcomplete >/dev/null 2>&1; then
    for _program in fedpkg-container fedpkg; do
        eval "$(register-python-argcomplete "$_program")"
    done
    unset _program
fi
