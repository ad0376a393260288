# PowerShell completion for ilgpu-loader. In $PROFILE:  ilgpu-loader completions pwsh | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName ilgpu-loader -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $command = $commandAst.CommandElements[0].Value
    $text = $commandAst.ToString().PadRight($cursorPosition)
    $line = $text.Substring([Math]::Min($command.Length + 1, $text.Length))
    $at = [Math]::Max(0, $cursorPosition - $command.Length - 1)
    # Nothing suggested is a path: PowerShell completes those by itself.
    & $command "[suggest:$at]" $line 2>$null |
        Where-Object { $_ -and $_.StartsWith($wordToComplete) -and ($wordToComplete.StartsWith('-') -or -not $_.StartsWith('-')) } |
        ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) }
}
