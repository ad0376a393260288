using System.Collections;
using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;

namespace IlgpuLoader.Loading;

/// <summary>
/// Compares two checkpoints, of whatever formats, dtypes and shards: names, dtypes and shapes, and if asked for, values.
/// Values are read piece by piece on all cores; memory stays within a few pieces a core, and the result does not depend on
/// their order. Safe for any thread.
/// </summary>
public static class CheckpointComparer
{
    /// <summary>Compares two checkpoints.</summary>
    /// <param name="left">The first.</param>
    /// <param name="right">The second.</param>
    /// <param name="compareValues">Whether values are read and compared; without, only headers are.</param>
    /// <param name="choice">The tensors; null for all.</param>
    /// <param name="progress">Told after each piece; must return soon.</param>
    /// <param name="cancellationToken">Ends the work within one piece.</param>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="InvalidCheckpointException">A file was cut or changed while it was read.</exception>
    public static async Task<CheckpointComparison> CompareAsync(
        Checkpoint left,
        Checkpoint right,
        bool compareValues,
        TensorChoice? choice = null,
        IProgress<LoadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(left);
        ArgumentNullException.ThrowIfNull(right);
        choice ??= TensorChoice.All;
        cancellationToken.ThrowIfCancellationRequested();
        var comparisons = CompareHeaders(left, right, choice, compareValues);
        if (compareValues)
        {
            await CompareValuesAsync(comparisons, progress, cancellationToken).ConfigureAwait(false);
        }

        return new CheckpointComparison(
            ImmutableArray.Create(comparisons), [.. CompareMetadata(MetadataOf(left), MetadataOf(right))], compareValues);
    }

    private static TensorComparison[] CompareHeaders(Checkpoint left, Checkpoint right, TensorChoice choice, bool compareValues)
    {
        var comparisons = new List<TensorComparison>();
        foreach (var tensor in left.Tensors.Where(tensor => choice.Includes(tensor.Name)))
        {
            if (!right.TryGetTensor(tensor.Name, out var other))
            {
                comparisons.Add(new TensorComparison(tensor.Name, tensor, null, TensorDifferences.Removed, null, null));
                continue;
            }

            var differences = (tensor.DType == other.DType ? TensorDifferences.None : TensorDifferences.DType)
                | (tensor.Shape == other.Shape ? TensorDifferences.None : TensorDifferences.Shape);
            var refusal = compareValues && tensor.Shape == other.Shape ? TensorPair.RefusalOf(tensor, other) : null;
            comparisons.Add(new TensorComparison(tensor.Name, tensor, other, differences, null, refusal));
        }

        comparisons.AddRange(right.Tensors
            .Where(tensor => choice.Includes(tensor.Name) && !left.TryGetTensor(tensor.Name, out _))
            .Select(tensor => new TensorComparison(tensor.Name, null, tensor, TensorDifferences.Added, null, null)));
        return [.. comparisons];
    }

    private static async Task CompareValuesAsync(
        TensorComparison[] comparisons, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        var pairs = new List<TensorPair>();
        var places = new List<int>();
        var cut = ImmutableArray.CreateBuilder<Stretch>();
        for (var i = 0; i < comparisons.Length; i++)
        {
            if (comparisons[i] is { Left: { } left, Right: { } right, Error: null } && left.Shape == right.Shape)
            {
                var pair = new TensorPair(left, right);
                TensorPieces.Cut(cut, pairs.Count, left, right);
                pairs.Add(pair);
                places.Add(i);
            }
        }

        var stretches = cut.ToImmutable();
        var results = new DifferenceCounts[stretches.Length];
        var reading = new ReadingProgress(
            progress,
            pairs.Sum(pair => pair.Left.DataByteLength + pair.Right.DataByteLength),
            [.. pairs.Select(pair => pair.Left.ElementCount)],
            cancellationToken);
        await Parallel.ForAsync(
            0,
            stretches.Length,
            cancellationToken,
            async (i, token) => results[i] = await pairs[stretches[i].Item].CompareAsync(stretches[i], reading, token).ConfigureAwait(false))
            .ConfigureAwait(false);
        await TensorPieces
            .EnsureUnchangedAsync(pairs.SelectMany(pair => new[] { pair.Left, pair.Right }), cancellationToken).ConfigureAwait(false);

        var merged = new DifferenceCounts[pairs.Count];
        Array.Fill(merged, new DifferenceCounts());
        for (var i = 0; i < results.Length; i++)
        {
            merged[stretches[i].Item].Add(results[i]);
        }

        for (var i = 0; i < merged.Length; i++)
        {
            comparisons[places[i]] = Describe(comparisons[places[i]], pairs[i], merged[i]);
        }
    }

    private static TensorComparison Describe(TensorComparison comparison, TensorPair pair, in DifferenceCounts counts)
    {
        var perElement = pair.ValuesPerElement;
        var values = new ValueComparison(
            checked(pair.Left.ElementCount * perElement),
            counts.Different,
            counts.BytesOnly,
            counts.NaNAppeared,
            counts.NaNDisappeared,
            counts.Largest > 0
                ? new LargestDifference(
                    counts.LargestIndex / perElement, (int)(counts.LargestIndex % perElement), counts.Left, counts.Right, counts.Largest)
                : null,
            counts.LargestRelative > 0 ? counts.LargestRelative : null);
        var differences = counts.Different > 0 ? TensorDifferences.Values
            : counts.BytesOnly > 0 ? TensorDifferences.Bytes
            : TensorDifferences.None;
        return comparison with { Differences = comparison.Differences | differences, Values = values };
    }

    // How a GGUF file lays out its tensors, and into how many parts a model was split, is nothing of the model's.
    private static IReadOnlyDictionary<string, object> MetadataOf(Checkpoint checkpoint) =>
        checkpoint.Files[0].Header is GgufHeader
            ? checkpoint.Metadata
                .Where(entry => !GgufFileKeys.IsAlignment(entry.Key) && !GgufFileKeys.IsSplit(entry.Key))
                .ToDictionary()
            : checkpoint.Metadata;

    private static IEnumerable<MetadataDifference> CompareMetadata(
        IReadOnlyDictionary<string, object> left, IReadOnlyDictionary<string, object> right)
    {
        foreach (var (key, value) in left)
        {
            if (!right.TryGetValue(key, out var other) || !AreEqual(value, other))
            {
                yield return new MetadataDifference(key, value, other);
            }
        }

        foreach (var (key, value) in right)
        {
            if (!left.ContainsKey(key))
            {
                yield return new MetadataDifference(key, null, value);
            }
        }
    }

    // Some formats have lists of values, also in lists, which are equal where their values are, whatever holds them; and bytes, which
    // know nothing of each other's values.
    private static bool AreEqual(object? left, object? right) =>
        Equals(left, right)
        || (left is IEnumerable and not string && right is IEnumerable and not string
            && ((IEnumerable)left).Cast<object?>().SequenceEqual(((IEnumerable)right).Cast<object?>(), ValueEquality.Instance));

    private sealed class ValueEquality : IEqualityComparer<object?>
    {
        public static ValueEquality Instance { get; } = new();

        public new bool Equals(object? x, object? y) => AreEqual(x, y);

        public int GetHashCode(object? obj) => throw new NotSupportedException("Sequences are compared value by value, not looked up.");
    }
}
