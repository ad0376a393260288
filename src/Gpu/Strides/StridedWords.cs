using System.Collections.Immutable;

namespace IlgpuLoader.Gpu;

/// <summary>
/// A copy between two strided views of one dtype as nested loops over words: the widest that every place, stride and length
/// is a multiple of. The loops follow the destination's places, so that neighbouring threads write neighbouring words.
/// </summary>
internal sealed class StridedWords
{
    // A device moves 16 bytes in one instruction at most.
    private const int WidestWord = 16;

    private readonly StridedLayout.Dimension[] _loops;
    private readonly long _source;
    private readonly long _destination;

    private StridedWords(int wordBytes, StridedLayout.Dimension[] loops, long source, long destination)
    {
        WordBytes = wordBytes;
        _loops = loops;
        _source = source;
        _destination = destination;
    }

    /// <summary>The size of a word in bytes: 1, 2, 4, 8 or 16.</summary>
    public int WordBytes { get; }

    /// <summary>The loops, outermost first; strides in words.</summary>
    public ImmutableArray<StridedLayout.Dimension> Loops => [.. _loops];

    /// <summary>Lays two views over each other; null where there is nothing to copy.</summary>
    public static StridedWords? Create(in StridedView source, in StridedView destination)
    {
        var layout = StridedLayout.Create(source, destination);
        return layout.IsEmpty ? null : Create(layout.Dimensions, layout.SourceUnitBytes, source.ByteOffset, destination.ByteOffset);
    }

    /// <summary>Repeats bytes over a view; null where there is nothing to fill.</summary>
    /// <param name="patternBytes">The pattern's length: so many of an element that it is a multiple of 16 bytes.</param>
    /// <param name="destination">The view.</param>
    public static ImmutableArray<StridedWords> Repeat(long patternBytes, in StridedView destination)
    {
        var layout = StridedLayout.Create(destination, destination);
        if (layout.IsEmpty)
        {
            return [];
        }

        var unit = layout.DestinationUnitBytes;
        var dimensions = layout.Dimensions.Select(dimension => dimension with { Source = 0 }).ToArray();
        var runBytes = layout.RunUnits * unit;
        if (layout.DestinationStride != unit || dimensions.Length == 0)
        {
            return [Create(dimensions, unit, 0, destination.ByteOffset)];
        }

        // A run is whole patterns and the beginning of one.
        var (patterns, rest) = Math.DivRem(runBytes, patternBytes);
        var outer = dimensions.SkipLast(1);
        var parts = ImmutableArray.CreateBuilder<StridedWords>();
        if (patterns > 0)
        {
            parts.Add(Create(outer.Append(new(patterns, 0, patternBytes)), patternBytes, 0, destination.ByteOffset));
        }

        if (rest > 0)
        {
            parts.Add(Create(outer, rest, 0, destination.ByteOffset + runBytes - rest));
        }

        return parts.ToImmutable();
    }

    /// <summary>Cuts the loops into launches.</summary>
    /// <param name="mostThreads">The most words of a launch, below 2^31.</param>
    public IEnumerable<(int ThreadCount, CopyLoops Loops)> Launches(long mostThreads)
    {
        // As many inner loops as one launch takes, and a part of the next.
        var inner = _loops.Length;
        long threads = 1;
        while (inner > 0 && _loops.Length - inner < CopyLoops.MostLoops && threads * (Int128)_loops[inner - 1].Size <= mostThreads)
        {
            threads *= _loops[--inner].Size;
        }

        var isCut = inner > 0 && _loops.Length - inner < CopyLoops.MostLoops;
        var outer = isCut ? inner - 1 : inner;
        var step = isCut ? mostThreads / threads : 1;
        var rounds = new long[outer];
        do
        {
            var (source, destination) = (_source, _destination);
            for (var i = 0; i < outer; i++)
            {
                source += rounds[i] * _loops[i].Source;
                destination += rounds[i] * _loops[i].Destination;
            }

            var launch = _loops[outer..];
            if (!isCut)
            {
                yield return ((int)threads, new CopyLoops(launch, source, destination));
                continue;
            }

            var cut = launch[0];
            for (long done = 0; done < cut.Size; done += step)
            {
                launch[0] = cut with { Size = Math.Min(step, cut.Size - done) };
                yield return (
                    (int)(launch[0].Size * threads),
                    new CopyLoops(launch, source + (done * cut.Source), destination + (done * cut.Destination)));
            }
        }
        while (Advance(rounds));
    }

    private bool Advance(long[] rounds)
    {
        for (var i = rounds.Length - 1; i >= 0; i--)
        {
            if (++rounds[i] < _loops[i].Size)
            {
                return true;
            }

            rounds[i] = 0;
        }

        return false;
    }

    private static StridedWords Create(IEnumerable<StridedLayout.Dimension> dimensions, long unitBytes, long source, long destination)
    {
        // The unit's own bytes are the innermost loop. Those outside go from the destination's longest stride to its shortest.
        var merged = new List<StridedLayout.Dimension>();
        foreach (var dimension in dimensions.OrderByDescending(dimension => dimension.Destination).Append(new(unitBytes, 1, 1)))
        {
            if (merged.Count > 0 && merged[^1].Source == dimension.Source * dimension.Size && merged[^1].Destination == dimension.Destination * dimension.Size)
            {
                merged[^1] = dimension with { Size = merged[^1].Size * dimension.Size };
            }
            else
            {
                merged.Add(dimension);
            }
        }

        var word = WidestWord;
        while (merged.SkipLast(1).Any(loop => loop.Source % word != 0 || loop.Destination % word != 0)
            || merged[^1].Size % word != 0 || source % word != 0 || destination % word != 0)
        {
            word /= 2;
        }

        var loops = merged.SkipLast(1).Select(loop => loop with { Source = loop.Source / word, Destination = loop.Destination / word })
            .Append(new(merged[^1].Size / word, 1, 1)).Where(loop => loop.Size > 1).ToArray();
        return new StridedWords(word, loops.Length > 0 ? loops : [new(1, 0, 0)], source / word, destination / word);
    }
}
