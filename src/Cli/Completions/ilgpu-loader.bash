# bash completion for ilgpu-loader. In ~/.bashrc:  source <(ilgpu-loader completions bash)
_ilgpu_loader() {
    local command=${COMP_WORDS[0]}
    local line=${COMP_LINE#*[[:space:]]}
    local at=$((COMP_POINT - ${#COMP_LINE} + ${#line}))
    local suggestions
    suggestions=$("$command" "[suggest:$at]" "$line" 2>/dev/null)
    # Nothing suggested is a path: bash completes those by itself.
    mapfile -t COMPREPLY < <(compgen -W "$suggestions" -- "${COMP_WORDS[COMP_CWORD]}")
}
complete -o bashdefault -o default -F _ilgpu_loader ilgpu-loader
