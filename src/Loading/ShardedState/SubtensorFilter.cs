using System.Collections.Immutable;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Leaves out tensors that share the memory of another one, or a part of it. vLLM's filter of what a sharded state holds.</summary>
public static class SubtensorFilter
{
    /// <summary>
    /// Chooses the tensors that hold everything: those without elements are left out, and of each memory of a device those that another, contiguous one covers. Of equal ranges the contiguous tensor stays,
    /// of several contiguous ones that with the smallest name. A range ends behind the last element that strides reach; tensors that overlap in part stay.
    /// </summary>
    /// <param name="tensors">The tensors by their names; they stay the caller's.</param>
    /// <returns>Those that stay, in the order given.</returns>
    /// <exception cref="ArgumentException">A name is there twice.</exception>
    public static ImmutableArray<KeyValuePair<string, Tensor>> Filter(IEnumerable<KeyValuePair<string, Tensor>> tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        var names = new HashSet<string>(StringComparer.Ordinal);
        var all = tensors.ToArray();
        if (all.FirstOrDefault(entry => !names.Add(entry.Key)) is { Key: not null } twice)
        {
            throw new ArgumentException($"Two tensors are named {Formats.Quoted.Name(twice.Key)}.", nameof(tensors));
        }

        var ranges = all.Select(entry => ByteRange.Of(entry.Value)).ToArray();
        var stays = new bool[all.Length];
        foreach (var group in Enumerable.Range(0, all.Length)
            .Where(i => all[i].Value.ElementCount > 0)
            .GroupBy(i => all[i].Value.Memory, ReferenceEqualityComparer.Instance))
        {
            Filter(all, ranges, [.. group], stays);
        }

        return [.. all.Where((_, i) => stays[i])];
    }

    // A memory may hold thousands of tensors side by side (slabs): a look at each pair of them would take too long.
    private static void Filter(KeyValuePair<string, Tensor>[] all, ByteRange[] ranges, int[] members, bool[] stays)
    {
        int[] covering = [.. members.Where(i => all[i].Value.IsContiguous).OrderBy(i => ranges[i].Begin)];
        var first = new Dictionary<ByteRange, string>();
        // The furthest end of those that begin at or before one of them.
        var begins = new List<long>();
        var ends = new List<long>();
        foreach (var i in covering)
        {
            var (begin, end) = ranges[i];
            if (!first.TryGetValue(ranges[i], out var name) || CodePoints.Compare(all[i].Key, name) < 0)
            {
                first[ranges[i]] = all[i].Key;
            }

            if (begins.Count > 0 && begins[^1] == begin)
            {
                ends[^1] = Math.Max(ends[^1], end);
            }
            else
            {
                begins.Add(begin);
                ends.Add(ends.Count == 0 ? end : Math.Max(ends[^1], end));
            }
        }

        foreach (var i in members)
        {
            var (begin, end) = ranges[i];
            var at = begins.BinarySearch(begin);
            var before = (at < 0 ? ~at : at) - 1;
            var isWithin = (before >= 0 && ends[before] >= end) || (at >= 0 && ends[at] > end);
            var hasEqual = first.TryGetValue(ranges[i], out var equal);
            stays[i] = !isWithin && (!hasEqual || (all[i].Value.IsContiguous && string.Equals(equal, all[i].Key, StringComparison.Ordinal)));
        }
    }
}
