using System.CommandLine;
using IlgpuLoader.Cli.Output;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Prints the script that lets a shell complete command lines of this tool.</summary>
internal sealed class CompletionsCommand : CommandBase
{
    // The script of each shell, as a resource of this assembly.
    private static readonly Dictionary<string, string> Scripts = new(StringComparer.Ordinal)
    {
        ["bash"] = "ilgpu-loader.bash",
        ["zsh"] = "ilgpu-loader.zsh",
        ["fish"] = "ilgpu-loader.fish",
        ["pwsh"] = "ilgpu-loader.ps1",
    };

    private readonly Argument<string> _shell = new("SHELL") { HelpName = "SHELL", Description = "bash, zsh, fish or pwsh." };

    /// <inheritdoc/>
    public override string Name => "completions";

    /// <inheritdoc/>
    protected override string Description =>
        "Prints a script that lets a shell complete commands, options, values and tensor names. Its first lines say where it goes.";

    /// <inheritdoc/>
    public override string Example => "completions bash >> ~/.bash_completion";

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        _shell.AcceptOnlyFromAmong([.. Scripts.Keys]);
        command.Add(_shell);
    }

    /// <inheritdoc/>
    protected override async Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        var shell = parsed.GetValue(_shell)!;
        var resource = typeof(CompletionsCommand).Assembly.GetManifestResourceStream(Scripts[shell])!;
        await using (resource.ConfigureAwait(false))
        {
            using var reader = new StreamReader(resource);
            var script = await reader.ReadToEndAsync(cancellationToken).ConfigureAwait(false);
            if (console.Json)
            {
                JsonOutput.Write(console.Out, new CompletionsDocument(shell, script), CliJsonContext.Default.CompletionsDocument);
            }
            else
            {
                await console.Out.WriteAsync(script).ConfigureAwait(false);
            }
        }

        return ExitCodes.Success;
    }
}
