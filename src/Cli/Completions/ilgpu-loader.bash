# bash completion for ilgpu-loader. In ~/.bashrc:  source <(ilgpu-loader completions bash)
_ilgpu_loader() {
    local word=${COMP_WORDS[COMP_CWORD]} line=${COMP_LINE:0:COMP_POINT}
    # bash takes --option=value for three words; here it is two.
    if [[ $word == = ]]; then
        word=
    fi
    if [[ $line == *=$word ]]; then
        line="${line%=*} $word"
    fi
    line=${line#*[[:space:]]}
    COMPREPLY=()
    local suggestion
    while IFS= read -r suggestion; do
        # Options are for words that begin like one: where a path is due, an empty word is a path's.
        if [[ -n $suggestion && $suggestion == "$word"* && ($suggestion != -* || $word == -*) ]]; then
            COMPREPLY+=("$suggestion")
        fi
    done < <("${COMP_WORDS[0]}" "[suggest:${#line}]" "$line" 2>/dev/null)
    # Nothing suggested is a path: bash completes those by itself.
}
complete -o bashdefault -o default -F _ilgpu_loader ilgpu-loader
