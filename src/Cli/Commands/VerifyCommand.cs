using System.Collections.Immutable;
using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Checks the structure of files and folders, one line each.</summary>
internal sealed class VerifyCommand : CommandBase
{
    private readonly Argument<string[]> _paths = new("PATH")
    {
        Description = "Checkpoint files, folders or indexes, or addresses of them.",
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly CheckpointArguments _checkpoint = new();
    private readonly Option<bool> _values = new("--values")
    {
        Description = "Also read every tensor: values that are NaN or infinite, and scales of quantised blocks that make such, are invalid, "
            + "and so are records of PyTorch's and NumPy's archives whose CRC-32 is not theirs.",
    };

    /// <inheritdoc/>
    public override string Name => "verify";

    /// <inheritdoc/>
    protected override string Description =>
        "Checks the structure of each file or folder and prints 'ok PATH' or 'invalid PATH: CODE: message' ('unreachable' where a server does not give it). Never stops at the first.";

    /// <inheritdoc/>
    public override string Example => "verify models/llama models/other.gguf --values";

    /// <inheritdoc/>
    protected override RemoteArguments? Remote => _checkpoint.Remote;

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        command.Add(_paths);
        command.Add(_values);
        _checkpoint.AddTo(command);
    }

    /// <inheritdoc/>
    protected override async Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        var exitCode = ExitCodes.Success;
        var results = new List<VerificationResult>();
        foreach (var path in parsed.GetValue(_paths)!)
        {
            var warnings = ImmutableArray<CheckpointWarning>.Empty;
            var result = await VerifyAsync(
                path, _checkpoint.Options(parsed), parsed.GetValue(_values) ? CheckAsync : null, console, cancellationToken).ConfigureAwait(false);
            result = result with { Warnings = result.Warnings.AddRange(warnings) };
            results.Add(result);
            exitCode = Math.Max(exitCode, ExitCodeFor(result.Failure));
            WriteWarnings(console, result.Warnings);
            if (!console.Json)
            {
                await console.Out.WriteLineAsync(
                    result.IsValid
                        ? $"ok {Quoted.Plain(result.Path)}"
                        : $"{(IsUnreachable(result) ? "unreachable" : "invalid")} {Quoted.Plain(result.Path)}: {CodeOf(result)}: {MessageOf(result)}").ConfigureAwait(false);
                // Whoever waits for many paths sees how far it is, and lines stay in order with warnings on the same terminal.
                await console.Out.FlushAsync(cancellationToken).ConfigureAwait(false);
            }

            // Bytes that were damaged say more than the values that they make.
            async Task CheckAsync(Checkpoint checkpoint, CancellationToken token)
            {
                warnings = warnings.AddRange(await CheckRecordsAsync(checkpoint, console, token).ConfigureAwait(false));
                await CheckValuesAsync(checkpoint, console, token).ConfigureAwait(false);
            }
        }

        if (console.Json)
        {
            var document = new VerifyDocument([.. results.Select(result => new VerifiedFile(
                result.Path,
                result.IsValid,
                CodeOf(result),
                result.IsValid ? null : MessageOf(result),
                [.. result.Warnings.Select(warning => warning.ToString())]))], _checkpoint.Remote.Fetched);
            JsonOutput.Write(console.Out, document, CliJsonContext.Default.VerifyDocument);
        }

        return exitCode;
    }

    private static Task<VerificationResult> VerifyAsync(
        string path,
        CheckpointOptions options,
        Func<Checkpoint, CancellationToken, Task>? inspect,
        CommandConsole console,
        CancellationToken cancellationToken)
    {
        if (AddressScheme.Of(path) is not null || !IsRankFolder(path))
        {
            return CheckpointVerifier.VerifyAsync(path, options, inspect, cancellationToken);
        }

        // A display cannot be shown within another, and the look at the values, which takes longer, has its own.
        if (inspect is not null)
        {
            return RankFolderVerifier.VerifyAsync(path, options, inspect, cancellationToken: cancellationToken);
        }

        var total = Directory.EnumerateFiles(path).Sum(file => new FileInfo(file).Length);
        return ProgressDisplay.RunAsync(
            console,
            "manifests",
            progress => RankFolderVerifier.VerifyAsync(
                path, options, progress: progress is null ? null : new ByteProgress(progress, total), cancellationToken: cancellationToken));
    }

    // What cannot be listed is for the check itself to report.
    private static bool IsRankFolder(string path)
    {
        try
        {
            return RankFolderVerifier.IsRankFolder(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static async Task<ImmutableArray<CheckpointWarning>> CheckRecordsAsync(
        Checkpoint checkpoint, CommandConsole console, CancellationToken cancellationToken) =>
        await ProgressDisplay.RunAsync(
            console,
            "checksums",
            progress => StoredChecksums.EnsureAsync(
                checkpoint, progress is null ? null : new ByteProgress(progress, StoredChecksums.ByteLength(checkpoint)), cancellationToken)).ConfigureAwait(false);

    private static Task<bool> CheckValuesAsync(Checkpoint checkpoint, CommandConsole console, CancellationToken cancellationToken) =>
        ProgressDisplay.RunAsync(
            console,
            "values",
            async progress =>
            {
                await FiniteValues.EnsureAsync(checkpoint, progress: progress, cancellationToken: cancellationToken).ConfigureAwait(false);
                return true;
            });

    // Of what a server does not give nobody can say whether it is valid.
    private static bool IsUnreachable(VerificationResult result) => result.Failure is RemoteException or FileNotFoundException { InnerException: RemoteException };

    private static string? CodeOf(VerificationResult result) => result.Failure is { } failure ? ErrorReport.CodeOf(failure) : null;

    // The line begins with the path; a message that begins with the same path need not repeat it.
    private static string MessageOf(VerificationResult result)
    {
        var message = Quoted.Plain(result.Failure!.Message);
        var prefix = Quoted.Plain(result.Path) + ": ";
        return message.StartsWith(prefix, StringComparison.Ordinal) ? message[prefix.Length..] : message;
    }

    // A readable file is valid or not; there is no third answer, also where the format is one that cannot be read.
    private static int ExitCodeFor(Exception? failure) => failure switch
    {
        null => ExitCodes.Success,
        ManifestMismatchException => ExitCodes.Different,
        CheckpointException => ExitCodes.InvalidCheckpoint,
        _ => ExitCodes.For(failure),
    };

    // Records and whole files are no tensors: only their bytes count.
    private sealed class ByteProgress(IProgress<LoadProgress> progress, long total) : IProgress<long>
    {
        public void Report(long value) => progress.Report(new LoadProgress(value, total, 0, 0));
    }
}
