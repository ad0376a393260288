using System.Collections.Immutable;

namespace IlgpuLoader.Formats;

/// <summary>A tensor was asked for by a name that the checkpoint does not have.</summary>
public sealed class TensorNotFoundException : CheckpointException
{
    // Enough to spot a typing error or a changed prefix, few enough to read.
    private const int NearestCount = 3;

    // Names are short; a hostile one is compared by its beginning, so that the cost stays bounded.
    private const int LongestCompared = 256;

    /// <summary>Makes the exception and finds the nearest names.</summary>
    /// <param name="tensor">The name asked for.</param>
    /// <param name="file">The checkpoint.</param>
    /// <param name="names">The names that are there.</param>
    public TensorNotFoundException(string tensor, string? file, IEnumerable<string> names)
        : this(tensor, file, FindNearest(tensor, names))
    {
    }

    private TensorNotFoundException(string tensor, string? file, ImmutableArray<string> nearest)
        : base(
            CheckpointErrorCode.TensorNotFound,
            file,
            nearest.IsEmpty
                ? $"there is no tensor {Quoted.Name(tensor)}."
                : $"there is no tensor {Quoted.Name(tensor)}; the nearest names are {string.Join(", ", nearest.Select(Quoted.Name))}.")
    {
        Tensor = tensor;
        Nearest = nearest;
    }

    /// <summary>The name asked for.</summary>
    public string Tensor { get; }

    /// <summary>Up to three names that are there and differ least.</summary>
    public ImmutableArray<string> Nearest { get; }

    /// <summary>Up to three names that differ least from one that is not there.</summary>
    internal static ImmutableArray<string> FindNearest(string tensor, IEnumerable<string> names) =>
        [.. names
            .Select(name => (Name: name, Distance: EditDistance(tensor, name)))
            .Where(candidate => candidate.Distance <= Math.Min(Math.Max(tensor.Length, candidate.Name.Length), LongestCompared) / 2)
            .OrderBy(candidate => candidate.Distance)
            .ThenBy(candidate => candidate.Name, StringComparer.Ordinal)
            .Take(NearestCount)
            .Select(candidate => candidate.Name)];

    // Levenshtein over one row.
    private static int EditDistance(ReadOnlySpan<char> a, ReadOnlySpan<char> b)
    {
        a = a[..Math.Min(a.Length, LongestCompared)];
        b = b[..Math.Min(b.Length, LongestCompared)];
        Span<int> row = stackalloc int[LongestCompared + 1];
        for (var j = 0; j <= b.Length; j++)
        {
            row[j] = j;
        }

        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var above = row[j];
                row[j] = Math.Min(Math.Min(row[j] + 1, row[j - 1] + 1), diagonal + (a[i - 1] == b[j - 1] ? 0 : 1));
                diagonal = above;
            }
        }

        return row[b.Length];
    }
}
