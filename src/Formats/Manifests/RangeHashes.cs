using System.Collections.Immutable;
using System.Security.Cryptography;

namespace IlgpuLoader.Formats;

/// <summary>Hashes parts of a file while the whole passes by from its beginning. Not safe for several threads.</summary>
/// <param name="ranges">The parts, in the order of their bytes, none over another.</param>
internal sealed class RangeHashes(ImmutableArray<HashedRange> ranges) : IDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly List<(HashedRange Range, string Problem)> _different = [];
    private int _next;

    /// <summary>What is wrong with the header; null for nothing.</summary>
    public string? HeaderMismatch => _different.Where(entry => entry.Range.Tensor is null).Select(entry => entry.Problem).FirstOrDefault();

    /// <summary>The tensors whose bytes are others.</summary>
    public IEnumerable<ManifestMismatch> Mismatches =>
        _different.Where(entry => entry.Range.Tensor is not null).Select(entry => new ManifestMismatch(entry.Range.Tensor!, entry.Problem));

    /// <summary>Takes the next piece of the file.</summary>
    /// <param name="offset">Where it begins: where the last has ended.</param>
    /// <param name="piece">Its bytes.</param>
    public void Append(long offset, ReadOnlySpan<byte> piece)
    {
        var end = offset + piece.Length;
        for (; _next < ranges.Length && ranges[_next].Offset <= end; _next++)
        {
            var range = ranges[_next];
            var (from, to) = (Math.Max(offset, range.Offset), Math.Min(end, range.Offset + range.Length));
            _hash.AppendData(piece[(int)(from - offset)..(int)(to - offset)]);
            if (to < range.Offset + range.Length)
            {
                return;
            }

            var actual = Convert.ToHexStringLower(_hash.GetHashAndReset());
            if (actual != range.Sha256)
            {
                _different.Add((range, $"its {range.Length} bytes at {range.Offset} have the SHA-256 {actual}, expected was {range.Sha256}"));
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _hash.Dispose();
}
