using System.Collections.Immutable;
using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
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

    private readonly Option<string?> _write = new Option<string?>("--write")
    {
        Description = "Also write the hashes to a manifest, which 'load --verify' holds a checkpoint against. For one PATH, and its stored bytes.",
        HelpName = "MANIFEST",
    }.LocalOnly();

    private readonly Option<string> _device = DeviceOption.Create("The device that decodes values.");

    /// <inheritdoc/>
    public override string Name => "hash";

    /// <inheritdoc/>
    protected override string Description =>
        "Prints the SHA-256 of each tensor's row-major little-endian bytes, so that the same content has the same hash in any file.";

    /// <inheritdoc/>
    public override string Example => "hash models/llama --values f32";

    /// <inheritdoc/>
    protected override RemoteArguments? Remote => _checkpoint.Remote;

    /// <inheritdoc/>
    protected override void Configure(Command command)
    {
        _values.AcceptOnlyFromAmong("f32");
        command.Add(_paths);
        command.Add(_values);
        command.Add(_write);
        command.Add(_device);
        _checkpoint.AddTo(command);
        _checkpoint.AddChoiceTo(command);
    }

    /// <inheritdoc/>
    protected override async Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken)
    {
        var exitCode = ExitCodes.Success;
        var documents = new List<HashedFile>();
        var paths = parsed.GetValue(_paths)!;
        var manifest = parsed.GetValue(_write);
        if (manifest is not null && (paths.Length > 1 || parsed.GetValue(_values) is not null))
        {
            throw new UsageException($"{_write.Name} makes the manifest of one PATH and of its stored bytes: leave out {_values.Name}, and give one path.");
        }

        var device = OpenDevice(parsed, console);
        if (manifest is not null)
        {
            // Before the first byte is hashed: that may take minutes, which a slip in the manifest's path would waste.
            await TensorManifest.EnsureReplaceableAsync(manifest, cancellationToken).ConfigureAwait(false);
        }

        foreach (var path in paths)
        {
            var shown = AddressScheme.WithoutSecrets(path);
            string? error = null;
            var hashes = ImmutableArray<TensorHash>.Empty;
            try
            {
                hashes = await HashAsync(path, parsed, device, console, cancellationToken).ConfigureAwait(false);
                if (!console.Json)
                {
                    WriteText(console, shown, hashes, paths.Length > 1);
                }

                if (manifest is not null)
                {
                    await TensorHasher.ToManifest(hashes).WriteAsync(manifest, cancellationToken).ConfigureAwait(false);
                }
            }
            catch (Exception exception) when (exception is CheckpointException or IOException or UnauthorizedAccessException)
            {
                exitCode = Math.Max(exitCode, ExitCodes.For(exception));
                error = exception.Message;
                await console.Error.WriteLineAsync($"error: {Quoted.Plain(exception.Message)}").ConfigureAwait(false);
            }

            // Where the manifest alone failed, the hashes are still there.
            documents.Add(new HashedFile(shown, error, [.. hashes.Select(Describe)]));

            // A path may take minutes: what is done can be seen, and stays in order with messages on the same terminal.
            await console.Out.FlushAsync(cancellationToken).ConfigureAwait(false);
        }

        if (console.Json)
        {
            JsonOutput.Write(console.Out, new HashDocument(documents), CliJsonContext.Default.HashDocument);
        }

        return exitCode;
    }

    private async Task<ImmutableArray<TensorHash>> HashAsync(
        string path, ParseResult parsed, Device device, CommandConsole console, CancellationToken cancellationToken)
    {
        var checkpoint = await Checkpoint.OpenAsync(path, _checkpoint.Options(parsed), cancellationToken).ConfigureAwait(false);
        await using (checkpoint.ConfigureAwait(false))
        {
            WriteWarnings(console, checkpoint.Warnings);
            var choice = _checkpoint.Choice(parsed);
            var hashes = parsed.GetValue(_values) is null
                ? await TensorHasher.HashStoredAsync(checkpoint, choice, cancellationToken).ConfigureAwait(false)
                : await TensorHasher.HashValuesAsync(checkpoint, device, choice, cancellationToken).ConfigureAwait(false);
            _checkpoint.WarnIfNothingChosen(console, hashes.Length, checkpoint.Tensors.Length);
            return hashes;
        }
    }

    // Before the first path: what is wrong with the device is wrong for all of them.
    private Device OpenDevice(ParseResult parsed, CommandConsole console)
    {
        var device = DeviceOption.Open(console, parsed.GetValue(_device)!);
        return parsed.GetValue(_values) is null ? device : DeviceOption.WithValues(device, "hash");
    }

    /// <summary>A tensor's hash as JSON has it.</summary>
    internal static HashedTensor Describe(TensorHash hash) =>
        new(hash.Tensor.Name, hash.Tensor.DType.Name, hash.Tensor.Shape, hash.Sha256);

    /// <summary>Writes the hash first, as sha256sum prints it.</summary>
    internal static void WriteText(CommandConsole console, string path, ImmutableArray<TensorHash> hashes, bool withPath)
    {
        if (withPath)
        {
            console.Out.WriteLine($"{Quoted.Plain(path)}:");
        }

        var table = new TextTable("llll");
        foreach (var hash in hashes)
        {
            table.Add(hash.Sha256, Quoted.Plain(hash.Tensor.Name), hash.Tensor.DType.Name, hash.Tensor.Shape.ToString());
        }

        table.WriteTo(console.Out);
    }
}
