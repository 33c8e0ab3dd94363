# fish completion for fedpkg-container, and for fedpkg where this project provides it; by argcomplete.
# Installed as fedpkg-container.fish and fedpkg.fish below fish/vendor_completions.d, or sourced: docs/completion.md.
if command -q register-python-argcomplete
    for program in fedpkg-container fedpkg
        register-python-argcomplete --shell fish $program | source
    end
end
