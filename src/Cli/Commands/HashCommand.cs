using System.Collections.Immutable;
using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>Prints the SHA-256 of every tensor.</summary>
internal sealed class HashCommand : CommandBase
{
    private readonly Argument<string[]> _paths = new("PATH")
    {
        Description = "Checkpoint files, folders or indexes.",
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly CheckpointArguments _checkpoint = new();
    private readonly Option<string?> _values = new("--values")
    {
        Description = "Hash the values after decoding to this dtype, instead of the stored bytes: f32.",
        HelpName = "f32",
    };

    private readonly Option<string> _device = DeviceOption.Create("The device that decodes values.");

    /// <inheritdoc/>
    protected override string Name => "hash";

    /// <inheritdoc/>
    protected override string Description =>
        "Prints the SHA-256 of each tensor's row-major little-endian bytes, so that the same content has the same hash in any file.";

    /// <inheritdoc/>
    protected override string Example => "hash models/llama --values f32";

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        _values.AcceptOnlyFromAmong("f32");
        command.Add(_paths);
        command.Add(_values);
        command.Add(_device);
        _checkpoint.AddTo(command);
    }

    /// <inheritdoc/>
    protected override async Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        var exitCode = ExitCodes.Success;
        var documents = new List<HashedFile>();
        var paths = parsed.GetValue(_paths)!;
        foreach (var path in paths)
        {
            try
            {
                var hashes = await HashAsync(path, parsed, console, cancellationToken).ConfigureAwait(false);
                exitCode = Math.Max(exitCode, hashes.Any(hash => hash.Error is not null) ? ExitCodes.CannotDo : ExitCodes.Success);
                documents.Add(new HashedFile(path, null, [.. hashes.Select(Describe)]));
                if (!console.Json)
                {
                    WriteText(console, path, hashes, paths.Length > 1);
                }
            }
            catch (Exception exception) when (exception is CheckpointException or IOException or UnauthorizedAccessException)
            {
                exitCode = Math.Max(exitCode, ExitCodes.For(exception));
                documents.Add(new HashedFile(path, exception.Message, []));
                await console.Error.WriteLineAsync($"error: {Quoted.Plain(exception.Message)}").ConfigureAwait(false);
            }
        }

        if (console.Json)
        {
            JsonOutput.Write(console.Out, new HashDocument(documents), CliJsonContext.Default.HashDocument);
        }

        return exitCode;
    }

    private async Task<ImmutableArray<TensorHash>> HashAsync(
        string path, ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        var checkpoint = await Checkpoint.OpenAsync(path, _checkpoint.Options(parsed), cancellationToken).ConfigureAwait(false);
        await using (checkpoint.ConfigureAwait(false))
        {
            WriteWarnings(console, checkpoint.Warnings);
            return parsed.GetValue(_values) is null
                ? await TensorHasher.HashStoredAsync(checkpoint, cancellationToken).ConfigureAwait(false)
                : await TensorHasher.HashValuesAsync(checkpoint, DeviceOption.Open(parsed.GetValue(_device)!), cancellationToken).ConfigureAwait(false);
        }
    }

    private static HashedTensor Describe(TensorHash hash) =>
        new(hash.Tensor.Name, hash.Tensor.DType.Name, hash.Tensor.Shape, hash.Sha256, hash.Error);

    // The hash first, as sha256sum prints it; a tensor without one has dashes there and its reason on standard error.
    private static void WriteText(CommandConsole console, string path, ImmutableArray<TensorHash> hashes, bool withPath)
    {
        const int digits = 64;
        if (withPath)
        {
            console.Out.WriteLine($"{Quoted.Plain(path)}:");
        }

        var table = new TextTable("llll");
        foreach (var hash in hashes)
        {
            table.Add(hash.Sha256 ?? new string('-', digits), Quoted.Plain(hash.Tensor.Name), hash.Tensor.DType.Name, hash.Tensor.Shape.ToString());
            if (hash.Error is not null)
            {
                console.Error.WriteLine($"error: {Quoted.Plain(path)}: tensor {Quoted.Name(hash.Tensor.Name)}: {hash.Error}");
            }
        }

        table.WriteTo(console.Out);
    }
}
