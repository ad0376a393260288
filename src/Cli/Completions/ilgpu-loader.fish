# fish completion for ilgpu-loader. In ~/.config/fish/config.fish:  ilgpu-loader completions fish | source
function __ilgpu_loader_suggest
    set -l line (commandline -cp | string replace -r '^\s*\S+\s' '')
    set -l command (commandline -opc)[1]
    set -l word (commandline -ct)
    # Of --option=value the value is completed.
    set -l option (string match -r '^--[^=]*=' -- $word)
    set word (string replace -r '^--[^=]*=' '' -- $word)
    # Options are for words that begin like one: where a path is due, an empty word is a path's.
    set -l unwanted '^-|^$'
    if string match -q -- '-*' $word
        set unwanted '^$'
    end
    $command "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null | string match -rv $unwanted | string match -- "$word*" | string replace -r -- '^' "$option"
end
# Where nothing is suggested fish completes paths.
complete -c ilgpu-loader -n 'count (__ilgpu_loader_suggest) >/dev/null' -f -a '(__ilgpu_loader_suggest)'
