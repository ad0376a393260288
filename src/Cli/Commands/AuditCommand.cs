using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Lists what the pickles of files would import, with nothing executed or loaded.</summary>
internal sealed class AuditCommand : CommandBase
{
    private readonly Argument<string[]> _paths = new("PATH")
    {
        Description = "Files, or folders whose files that can hold a pickle are all looked at; also addresses of them.",
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly Option<bool> _allowUnknownGlobals = new("--allow-unknown-globals")
    {
        Description = "End with 0 also where foreign classes are named that other commands read as inert records with this option; "
            + "Python's torch.load without weights_only runs their code.",
    };

    /// <inheritdoc/>
    public override string Name => "audit";

    /// <inheritdoc/>
    protected override string Description =>
        "Lists what the pickles of PyTorch and NumPy files would import, their opcodes and storages. Executes and loads nothing. "
        + "Ends with 0 where all is safe, and with 4 where a file is unsafe, broken or names what is on no list.";

    /// <inheritdoc/>
    public override string Example => "audit models/llama downloads/model.ckpt --verbose";

    /// <inheritdoc/>
    protected override RemoteArguments Remote { get; } = new(RemoteAccess.Stream);

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        command.Add(_paths);
        Remote.AddTo(command);
        command.Add(_allowUnknownGlobals);
    }

    /// <inheritdoc/>
    protected override async Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        var allowsUnknown = parsed.GetValue(_allowUnknownGlobals);
        var options = new CheckpointOptions { Torch = new TorchLimits { AllowUnknownGlobals = allowsUnknown }, Remote = Remote.Take(parsed) };
        var exitCode = ExitCodes.Success;
        var files = new List<AuditedFile>();
        foreach (var path in parsed.GetValue(_paths)!)
        {
            var count = 0;
            await foreach (var audit in PickleAuditor.AuditAsync(path, options, cancellationToken).ConfigureAwait(false))
            {
                count++;
                var report = new AuditReport(audit, ExitCodeFor(audit, allowsUnknown));
                exitCode = Math.Max(exitCode, report.ExitCode);
                if (console.Json)
                {
                    files.Add(report.ToDocument());
                    continue;
                }

                report.WriteTo(console.Out, console.Verbose);
                // Whoever waits for many files sees how far it is.
                await console.Out.FlushAsync(cancellationToken).ConfigureAwait(false);
            }

            if (count == 0)
            {
                console.Warn($"{Quoted.Plain(AddressScheme.WithoutSecrets(path))}: no file in this folder can hold a pickle.");
            }
        }

        if (console.Json)
        {
            JsonOutput.Write(console.Out, new AuditDocument(files, Remote.Fetched), CliJsonContext.Default.AuditDocument);
        }

        return exitCode;
    }

    // What is of a format that cannot be read may hold anything: there is no third answer here either.
    private static int ExitCodeFor(FileAudit audit, bool allowsUnknown) => audit.Verdict switch
    {
        AuditVerdict.Safe => ExitCodes.Success,
        AuditVerdict.UnknownGlobals when allowsUnknown => ExitCodes.Success,
        AuditVerdict.Unreadable => ExitCodes.For(audit.Failure!),
        _ => ExitCodes.InvalidCheckpoint,
    };
}
