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

    private readonly ImmutableArray<LocalFileSource> _files;

    private CarriedFiles(ImmutableArray<LocalFileSource> files) => _files = files;

    /// <summary>The base names, in ordinal order.</summary>
    public ImmutableArray<string> Names => [.. _files.Select(file => Path.GetFileName(file.Name))];

    /// <summary>The size of all of them in bytes.</summary>
    public long ByteLength => _files.Sum(file => file.Length);

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
    public static async Task<CarriedFiles> OpenAsync(string folder)
    {
        var files = ImmutableArray.CreateBuilder<LocalFileSource>();
        try
        {
            var paths = Directory.Exists(folder) ? Directory.EnumerateFiles(folder) : [];
            foreach (var path in paths.Where(path => Includes(Path.GetFileName(path))).Order(StringComparer.Ordinal))
            {
                files.Add(Open(path));
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
            foreach (var file in _files)
            {
                using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
                for (long done = 0; done < file.Length;)
                {
                    var part = buffer.AsMemory(0, (int)Math.Min(CopyBytes, file.Length - done));
                    await file.ReadExactlyAsync(done, part, cancellationToken).ConfigureAwait(false);
                    hash.AppendData(part.Span);
                    done += part.Length;
                }

                hashed.Add(new ManifestFile(Path.GetFileName(file.Name), file.Length, Convert.ToHexStringLower(hash.GetHashAndReset())));
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
        foreach (var file in _files)
        {
            var name = Path.GetFileName(file.Name);
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
        foreach (var file in _files)
        {
            await file.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static LocalFileSource Open(string path)
    {
        try
        {
            return new LocalFileSource(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or UnsupportedCheckpointException)
        {
            throw new IOException(
                $"{path}: it goes with the weights and cannot be copied: {exception.Message} Mend or remove it, or convert into a single "
                + "file, which carries nothing along.",
                exception);
        }
    }

    private static async Task CopyAsync(LocalFileSource file, IOutputFolder output, string name, CancellationToken cancellationToken)
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
