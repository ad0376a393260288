using System.Buffers;
using System.Collections.Immutable;
using System.Security.Cryptography;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// The small files that make weights a model: configuration, tokenizer, generation. They are opened before the conversion
/// begins, so that one that cannot be read ends it before its work, and copied in bounded memory.
/// </summary>
internal sealed class CarriedFiles : IAsyncDisposable
{
    private const string ConfigName = "config.json";

    private const int CopyBytes = 1 << 20;

    // A configuration is a few kilobytes; what is larger than this is none, and is copied as it is.
    private const int LargestConfig = 16 << 20;

    // What transformers, sentencepiece, tiktoken and Mistral call them. Code is not carried along: nothing here runs it.
    private static readonly string[] Patterns =
    [
        "config*.json", "*_config.json", "configuration.json", "tokenizer*.json", "tokenizer*.txt", "special_tokens_map.json", "added_tokens.json", "vocab*.json", "vocab*.txt", "vocab*.bpe",
        "merges*.txt", "*.tiktoken", "*.model", "tekken.json", "params.json", "chat_template*.json", "*.jinja",
    ];

    // Weights have such names too (tokenizer-….safetensors of a speech model): they are converted or left out, never copied.
    private static readonly string[] WeightEndings =
        [ShardNames.SafetensorsExtension, ShardNames.GgufExtension, ".bin", ".pt", ".pth", ".ckpt", ".npy", ".npz", ".onnx", ".h5", ".msgpack", ".tflite"];

    // What is asked for by name where nothing lists files: what transformers saves of a model with its tokenizer and processor.
    private static readonly string[] UsualNames =
    [
        ConfigName, "generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt",
        "chat_template.jinja", "chat_template.json", "preprocessor_config.json", "processor_config.json",
    ];

    private readonly ImmutableArray<(string Name, IByteSource Source)> _files;

    private CarriedFiles(ImmutableArray<(string Name, IByteSource Source)> files) => _files = files;

    /// <summary>
    /// The most bytes of one file that comes from a server, 100 MB: what the safetensors reference accepts as a header. A tokenizer names each token once, as a header does tensors, and the largest that are published have a third of it;
    /// what is larger has one of these names by chance. What lies on this machine already has no limit.
    /// </summary>
    public const long LargestRemoteBytes = CheckpointOptions.DefaultMaximumIndexBytes;

    /// <summary>The base names, in ordinal order.</summary>
    public ImmutableArray<string> Names => [.. _files.Select(file => file.Name)];

    /// <summary>The size of all of them in bytes.</summary>
    public long ByteLength => _files.Sum(file => file.Source.Length);

    /// <summary>Whether a file of this base name is carried along.</summary>
    public static bool Includes(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return !name.StartsWith('.')
            && !name.Contains(".index.", StringComparison.OrdinalIgnoreCase)
            && !Array.Exists(WeightEndings, ending => name.EndsWith(ending, StringComparison.OrdinalIgnoreCase))
            && Array.Exists(Patterns, pattern => NamePattern.Matches(pattern, name.ToLowerInvariant()));
    }

    /// <summary>Opens the files of a folder that are carried along; none where there is no such folder.</summary>
    /// <exception cref="IOException">One cannot be read, or is no file; the message names it.</exception>
    public static Task<CarriedFiles> OpenAsync(string folder) =>
        Directory.Exists(folder) ? OpenAsync(new LocalPlace(folder), CancellationToken.None) : Task.FromResult(new CarriedFiles([]));

    /// <summary>Opens the files beside a checkpoint that are carried along.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="cancellationToken">Ends the opening.</param>
    /// <inheritdoc cref="OpenAsync(ICheckpointPlace, CancellationToken)" path="/exception"/>
    public static Task<CarriedFiles> OpenBesideAsync(Checkpoint checkpoint, CancellationToken cancellationToken) =>
        checkpoint.Place is { } place and not LocalPlace ? OpenAsync(place, cancellationToken) : OpenAsync(Path.GetDirectoryName(Path.GetFullPath(checkpoint.Files[0].Path))!);

    /// <summary>Opens the files that are carried along from where options say.</summary>
    /// <param name="place">The place; null for the folder.</param>
    /// <param name="folder">The folder; null for no files.</param>
    /// <param name="cancellationToken">Ends the opening.</param>
    /// <inheritdoc cref="OpenAsync(ICheckpointPlace, CancellationToken)" path="/exception"/>
    public static Task<CarriedFiles> OpenAsync(ICheckpointPlace? place, string? folder, CancellationToken cancellationToken) =>
        place is not null ? OpenAsync(place, cancellationToken) : OpenAsync(folder ?? "");

    /// <summary>Opens the files of a place that are carried along.</summary>
    /// <param name="place">The place.</param>
    /// <param name="cancellationToken">Ends the opening.</param>
    /// <exception cref="IOException">One cannot be read, is no file, or comes from a server and is too large; the message names it.</exception>
    public static async Task<CarriedFiles> OpenAsync(ICheckpointPlace place, CancellationToken cancellationToken)
    {
        string[] names = place.ListsAll
            ? [.. (await place.ListAsync(cancellationToken).ConfigureAwait(false)).Where(Includes).Order(StringComparer.Ordinal)]
            : await FindUsualAsync(place, cancellationToken).ConfigureAwait(false);
        await place.PrepareAsync(names, cancellationToken).ConfigureAwait(false);
        var files = ImmutableArray.CreateBuilder<(string, IByteSource)>();
        try
        {
            foreach (var name in names)
            {
                files.Add((name, await OpenFileAsync(place, name, cancellationToken).ConfigureAwait(false)));
            }

            return new CarriedFiles(files.ToImmutable());
        }
        catch
        {
            await new CarriedFiles(files.ToImmutable()).DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Reads each file for its size and SHA-256.</summary>
    /// <param name="cancellationToken">Ends the reading within one piece.</param>
    public async Task<ImmutableArray<ManifestFile>> HashAsync(CancellationToken cancellationToken)
    {
        var hashed = ImmutableArray.CreateBuilder<ManifestFile>(_files.Length);
        var buffer = ArrayPool<byte>.Shared.Rent(CopyBytes);
        try
        {
            foreach (var (name, file) in _files)
            {
                using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
                for (long done = 0; done < file.Length;)
                {
                    var part = buffer.AsMemory(0, (int)Math.Min(CopyBytes, file.Length - done));
                    await file.ReadExactlyAsync(done, part, cancellationToken).ConfigureAwait(false);
                    hash.AppendData(part.Span);
                    done += part.Length;
                }

                hashed.Add(new ManifestFile(name, file.Length, Convert.ToHexStringLower(hash.GetHashAndReset())));
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return hashed.MoveToImmutable();
    }

    /// <summary>Writes a copy of each file.</summary>
    /// <param name="output">Where they go.</param>
    /// <param name="dtype">The dtype that all floating tensors have now; null where they keep their own.</param>
    /// <param name="cancellationToken">Ends the copying within one piece.</param>
    public async Task CopyAsync(IOutputFolder output, DType? dtype, CancellationToken cancellationToken)
    {
        foreach (var (name, file) in _files)
        {
            if (name == ConfigName && dtype is { } target && file.Length <= LargestConfig)
            {
                var config = new byte[(int)file.Length];
                await file.ReadExactlyAsync(0, config, cancellationToken).ConfigureAwait(false);
                await output.WriteAllBytesAsync(name, ConfigDType.Replace(config, target), cancellationToken).ConfigureAwait(false);
            }
            else
            {
                await CopyAsync(file, output, name, cancellationToken).ConfigureAwait(false);
            }

            await file.EnsureUnchangedAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Closes the files.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var (_, file) in _files)
        {
            await file.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static async Task<string[]> FindUsualAsync(ICheckpointPlace place, CancellationToken cancellationToken)
    {
        var isThere = new bool[UsualNames.Length];
        await Parallel.ForAsync(
            0,
            isThere.Length,
            new ParallelOptions { MaxDegreeOfParallelism = place.ParallelOpens, CancellationToken = cancellationToken },
            async (i, token) => isThere[i] = await place.ExistsAsync(UsualNames[i], token).ConfigureAwait(false)).ConfigureAwait(false);
        return [.. UsualNames.Where((_, i) => isThere[i]).Order(StringComparer.Ordinal)];
    }

    private static async Task<IByteSource> OpenFileAsync(ICheckpointPlace place, string name, CancellationToken cancellationToken)
    {
        IByteSource file;
        try
        {
            file = await place.OpenAsync(name, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is IOException and not RemoteException or UnauthorizedAccessException or UnsupportedCheckpointException)
        {
            throw Refused(place.PathOf(name), exception.Message, exception);
        }

        if (file.FindRemote() is not null && file.Length > LargestRemoteBytes)
        {
            await file.DisposeAsync().ConfigureAwait(false);
            throw Refused(file.Name, $"it has {file.Length} bytes, and {LargestRemoteBytes} are the most of such a file from a server.", null);
        }

        return file;
    }

    private static IOException Refused(string path, string problem, Exception? cause) => new(
        $"{path}: it goes with the weights and cannot be copied: {problem} Mend or remove it, or convert into a single "
        + "file, which carries nothing along.",
        cause);

    private static async Task CopyAsync(IByteSource file, IOutputFolder output, string name, CancellationToken cancellationToken)
    {
        var copy = output.CreateFile(name, file.Length);
        await using (copy.ConfigureAwait(false))
        {
            var buffer = ArrayPool<byte>.Shared.Rent(CopyBytes);
            try
            {
                for (long done = 0; done < file.Length;)
                {
                    var part = buffer.AsMemory(0, (int)Math.Min(CopyBytes, file.Length - done));
                    await file.ReadExactlyAsync(done, part, cancellationToken).ConfigureAwait(false);
                    await copy.WriteAsync(done, part, cancellationToken).ConfigureAwait(false);
                    done += part.Length;
                }
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }

            await copy.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
