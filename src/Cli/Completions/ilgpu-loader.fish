# fish completion for ilgpu-loader. In ~/.config/fish/config.fish:  ilgpu-loader completions fish | source
function __ilgpu_loader_suggest
    set -l line (commandline -cp | string replace -r '^\s*\S+\s' '')
    set -l command (commandline -opc)[1]
    $command "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null | string match -rv '^$'
end
# fish adds paths by itself.
complete -c ilgpu-loader -a '(__ilgpu_loader_suggest)'
