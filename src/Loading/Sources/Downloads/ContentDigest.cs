using System.Buffers;
using System.Security.Cryptography;
using System.Text;

namespace IlgpuLoader.Loading;

/// <summary>Computes the hash that a name is, while the content arrives. For one thread at a time.</summary>
internal sealed class ContentDigest : IDisposable
{
    private static readonly SearchValues<char> Digits = SearchValues.Create("0123456789abcdef");

    private readonly IncrementalHash? _hash;

    private ContentDigest(ContentDigestKind kind, long length)
    {
        _hash = kind switch
        {
            ContentDigestKind.Sha256 => IncrementalHash.CreateHash(HashAlgorithmName.SHA256),
            ContentDigestKind.GitBlob => CreateGitHash(),
            _ => null,
        };
        if (kind == ContentDigestKind.GitBlob)
        {
            _hash!.AppendData(Encoding.ASCII.GetBytes(FormattableString.Invariant($"blob {length}\0")));
        }
    }

    /// <summary>Which hash a name is.</summary>
    /// <param name="name">The name, such as an ETag.</param>
    public static ContentDigestKind KindOf(string name) =>
        name.AsSpan().ContainsAnyExcept(Digits) ? ContentDigestKind.None
        : name.Length == 2 * SHA256.HashSizeInBytes ? ContentDigestKind.Sha256
        : name.Length == 2 * SHA1.HashSizeInBytes ? ContentDigestKind.GitBlob
        : ContentDigestKind.None;

    /// <summary>Begins.</summary>
    /// <param name="name">What the content is to be named.</param>
    /// <param name="length">The size of the content in bytes.</param>
    public static ContentDigest Begin(string name, long length) => new(KindOf(name), length);

    /// <summary>The hash of a file that its name could be; null where the name is none.</summary>
    /// <param name="path">The file.</param>
    /// <param name="name">What its content is to be named.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    public static async Task<string?> OfFileAsync(string path, string name, CancellationToken cancellationToken)
    {
        using var file = File.OpenHandle(path, options: FileOptions.Asynchronous | FileOptions.SequentialScan);
        using var digest = Begin(name, RandomAccess.GetLength(file));
        var buffer = new byte[1 << 20];
        long offset = 0;
        int read;
        while ((read = await RandomAccess.ReadAsync(file, buffer, offset, cancellationToken).ConfigureAwait(false)) > 0)
        {
            digest.Append(buffer.AsSpan(0, read));
            offset += read;
        }

        return digest.Finish();
    }

    /// <summary>Adds the next bytes.</summary>
    public void Append(ReadOnlySpan<byte> bytes) => _hash?.AppendData(bytes);

    /// <summary>The hash of all that was added, in lower-case hexadecimal digits; null where the name is none.</summary>
    public string? Finish() => _hash is null ? null : Convert.ToHexStringLower(_hash.GetHashAndReset());

    /// <inheritdoc/>
    public void Dispose() => _hash?.Dispose();

    // Not for secrecy: it is how git names contents.
#pragma warning disable CA5350
    private static IncrementalHash CreateGitHash() => IncrementalHash.CreateHash(HashAlgorithmName.SHA1);
#pragma warning restore CA5350
}
