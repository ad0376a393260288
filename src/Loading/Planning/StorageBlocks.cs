using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Finds what is loaded as blocks: tensors whose elements overlap or touch in one storage, and single ones with strides. What would
/// bring more elements that nobody wants than wanted ones is left out, and gathered tensor by tensor.
/// </summary>
internal static class StorageBlocks
{
    private readonly record struct Member(int Tensor, StorageExtent Extent);

    /// <summary>Forms the blocks, and makes their tensors views of them.</summary>
    /// <param name="tensors">The tensors of the plan, ties found.</param>
    public static ImmutableArray<PlannedBlock> Form(ImmutableArray<PlannedTensor>.Builder tensors)
    {
        // In the order of the tensors; a tensor is seen as one dtype, and becomes one.
        var storages = new Dictionary<(CheckpointFile File, long Offset, long ByteLength, DType Stored, DType Target), List<Member>>();
        for (var i = 0; i < tensors.Count; i++)
        {
            var source = tensors[i].Source;
            // Groups of elements have no strides within them, and a slice is not all of what others share.
            if (tensors[i].TiedTo is null && tensors[i].Slice is null && source.ElementCount > 0 && source.DType.BlockLength == 1)
            {
                var storage = (source.File, source.Offset, source.ByteLength, source.DType, tensors[i].DType);
                if (!storages.TryGetValue(storage, out var members))
                {
                    storages.Add(storage, members = []);
                }

                members.Add(new Member(i, StorageExtent.Of(source)));
            }
        }

        var blocks = ImmutableArray.CreateBuilder<PlannedBlock>();
        foreach (var members in storages.Values.Where(members => members.Count > 1 || !tensors[members[0].Tensor].Source.IsContiguous))
        {
            foreach (var cluster in Cluster(members).Where(cluster => IsBlock(cluster, tensors)).OrderBy(cluster => cluster.Min(member => member.Tensor)))
            {
                blocks.Add(Make(cluster, tensors, blocks.Count));
            }
        }

        if (blocks.Count > 0)
        {
            FollowTies(tensors, blocks);
        }

        return blocks.ToImmutable();
    }

    // Whatever overlaps or touches is together, if that is worth reading; else what is dense by itself, with what lies within it.
    private static IEnumerable<List<Member>> Cluster(List<Member> members)
    {
        foreach (var touching in Touching(members))
        {
            if (IsWorthReading(touching))
            {
                yield return touching;
                continue;
            }

            var dense = Touching([.. touching.Where(member => member.Extent.IsDense)]).ToArray();
            foreach (var member in touching.Where(member => !member.Extent.IsDense))
            {
                Array.Find(dense, cluster => cluster[0].Extent.First <= member.Extent.First && End(cluster) >= member.Extent.End)?.Add(member);
            }

            foreach (var cluster in dense)
            {
                yield return cluster;
            }
        }
    }

    private static IEnumerable<List<Member>> Touching(List<Member> members)
    {
        var (cluster, end) = (new List<Member>(), 0L);
        foreach (var member in members.OrderBy(member => member.Extent.First))
        {
            if (cluster.Count > 0 && member.Extent.First > end)
            {
                yield return cluster;
                cluster = [];
            }

            end = cluster.Count == 0 ? member.Extent.End : Math.Max(end, member.Extent.End);
            cluster.Add(member);
        }

        if (cluster.Count > 0)
        {
            yield return cluster;
        }
    }

    private static long End(List<Member> cluster) => cluster.Max(member => member.Extent.End);

    private static bool IsWorthReading(List<Member> cluster) => StorageExtent.IsWorthReading(Used(cluster), End(cluster) - cluster[0].Extent.First);

    // Elements that several have count several times, as far as there are so many.
    private static long Used(List<Member> cluster)
    {
        var used = 0L;
        var length = End(cluster) - cluster[0].Extent.First;
        foreach (var member in cluster)
        {
            used = Math.Min(length, used + member.Extent.Used);
        }

        return used;
    }

    // One whose elements lie side by side is what it is without a block.
    private static bool IsBlock(List<Member> cluster, ImmutableArray<PlannedTensor>.Builder tensors) =>
        cluster.Count > 1 || !tensors[cluster[0].Tensor].Source.IsContiguous;

    private static PlannedBlock Make(List<Member> cluster, ImmutableArray<PlannedTensor>.Builder tensors, int block)
    {
        var first = cluster[0].Extent.First;
        var length = End(cluster) - first;
        var source = tensors[cluster.Min(member => member.Tensor)].Source;
        var row = new TensorInfo(source.Name, source.DType, new Shape(length), source.File, source.Offset, source.ByteLength)
        {
            Strides = [1],
            StorageOffset = first,
        };
        var (dtype, values) = (tensors[cluster[0].Tensor].DType, tensors[cluster[0].Tensor].ValuesPerElement);
        foreach (var (i, extent) in cluster)
        {
            tensors[i] = tensors[i] with { Place = new BlockPlace(block, (extent.First - first) * values, StridesOf(tensors[i])) };
        }

        return new PlannedBlock(
            new PlannedTensor(row, dtype, values == 1 ? row.Shape : new Shape(length, values)),
            [],
            Used(cluster) * source.DType.BlockSize);
    }

    // Element by element the row stays what it was: a complex number that becomes a pair is two values side by side.
    private static ImmutableArray<long> StridesOf(PlannedTensor tensor) =>
        tensor.Source.IsContiguous ? default
        : tensor.ValuesPerElement == 1 ? tensor.Source.Strides
        : [.. tensor.Source.Strides.Select(stride => checked(stride * tensor.ValuesPerElement)), 1];

    // What is tied to a tensor of a block is one of the block's too.
    private static void FollowTies(ImmutableArray<PlannedTensor>.Builder tensors, ImmutableArray<PlannedBlock>.Builder blocks)
    {
        var members = new ImmutableArray<int>.Builder[blocks.Count];
        for (var i = 0; i < tensors.Count; i++)
        {
            if (tensors[i].TiedTo is { } tied && tensors[tied].Place is { } place)
            {
                tensors[i] = tensors[i] with { Place = place with { Strides = StridesOf(tensors[i]) } };
            }

            if (tensors[i].Block is { } block)
            {
                (members[block] ??= ImmutableArray.CreateBuilder<int>()).Add(i);
            }
        }

        for (var i = 0; i < blocks.Count; i++)
        {
            blocks[i] = blocks[i] with { Tensors = members[i].ToImmutable() };
        }
    }
}
