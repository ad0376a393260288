#compdef ilgpu-loader
# zsh completion for ilgpu-loader. In ~/.zshrc, behind compinit:  source <(ilgpu-loader completions zsh)
_ilgpu_loader() {
    local word="${words[CURRENT]}" line="${(j: :)words[2,CURRENT]}"
    local -a suggestions
    suggestions=("${(@f)$("${words[1]}" "[suggest:${#line}]" "$line" 2>/dev/null)}")
    # Of --option=value the value is completed.
    if [[ "$word" == --*=* ]]; then
        compset -P '*='
        word="${word#*=}"
    fi
    suggestions=(${(M)suggestions:#${(b)word}*})
    # Options are for words that begin like one: where a path is due, an empty word is a path's.
    if [[ "$word" != -* ]]; then
        suggestions=(${suggestions:#-*})
    fi
    # Nothing suggested is a path.
    if (( ${#suggestions} )) && [[ -n "${suggestions[1]}" ]]; then
        compadd -- "${suggestions[@]}"
    else
        _files
    fi
}
compdef _ilgpu_loader ilgpu-loader
