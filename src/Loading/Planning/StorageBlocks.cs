using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Finds what is loaded as blocks, by the rules that <see cref="LoadPlan.Blocks"/> names: tensors whose elements overlap or touch in one
/// storage, and single ones with strides. What would bring too many elements that nobody wants is left out, and gathered tensor by tensor.
/// Linear in the number of tensors but for sorting them.
/// </summary>
internal static class StorageBlocks
{

    /// <summary>Forms the blocks, and makes their tensors views of them.</summary>
    /// <param name="tensors">The tensors of the plan, ties found.</param>
    public static ImmutableArray<PlannedBlock> Form(ImmutableArray<PlannedTensor>.Builder tensors)
    {
        // In the order of the tensors; a tensor is seen as one dtype, and becomes one.
        var storages = new Dictionary<(CheckpointFile File, long Offset, long ByteLength, DType Stored, DType Target), List<StorageMember>>();
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

                members.Add(new StorageMember(i, StorageExtent.Of(source), source.ElementCount));
            }
        }

        var blocks = ImmutableArray.CreateBuilder<PlannedBlock>();
        foreach (var members in storages.Values.Where(members => members.Count > 1 || !tensors[members[0].Tensor].Source.IsContiguous))
        {
            members.Sort((left, right) => left.Extent.First.CompareTo(right.Extent.First) is var order and not 0 ? order : left.Tensor.CompareTo(right.Tensor));
            foreach (var cluster in Cluster(members).Where(cluster => IsBlock(cluster, tensors)).OrderBy(cluster => cluster.FirstTensor))
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

    // Whatever overlaps or touches is together, if that is worth reading; else what overlaps; else what is dense by itself, with what lies
    // within it. Members come sorted by their first element.
    private static IEnumerable<StorageCluster> Cluster(List<StorageMember> members)
    {
        foreach (var touching in Sweep(members, includesTouching: true))
        {
            if (touching.IsWorthReading)
            {
                yield return touching;
                continue;
            }

            foreach (var overlapping in Sweep(touching.Members, includesTouching: false))
            {
                if (overlapping.IsWorthReading || overlapping.IsWorthSharing)
                {
                    yield return overlapping;
                    continue;
                }

                foreach (var dense in Densest(overlapping.Members))
                {
                    yield return dense;
                }
            }
        }
    }

    // Those that would be worth sharing by themselves, and the others where they lie within them.
    private static IEnumerable<StorageCluster> Densest(IReadOnlyList<StorageMember> members)
    {
        var clusters = Sweep(members.Where(member => StorageCluster.Of(member).IsDenseEnoughToShare), includesTouching: false).ToArray();
        var at = 0;
        foreach (var member in members.Where(member => !StorageCluster.Of(member).IsDenseEnoughToShare))
        {
            // Clusters lie one behind the other, and members come in the order of their beginnings.
            while (at < clusters.Length && clusters[at].End <= member.Extent.First)
            {
                at++;
            }

            if (at < clusters.Length && clusters[at].First <= member.Extent.First && clusters[at].End >= member.Extent.End)
            {
                clusters[at].Add(member);
            }
        }

        return clusters.Where(cluster => cluster.IsWorthReading || cluster.IsWorthSharing);
    }

    private static IEnumerable<StorageCluster> Sweep(IEnumerable<StorageMember> members, bool includesTouching)
    {
        StorageCluster? cluster = null;
        foreach (var member in members)
        {
            if (cluster is not null && (member.Extent.First > cluster.End || (member.Extent.First == cluster.End && !includesTouching)))
            {
                yield return cluster;
                cluster = null;
            }

            if (cluster is null)
            {
                cluster = StorageCluster.Of(member);
            }
            else
            {
                cluster.Add(member);
            }
        }

        if (cluster is not null)
        {
            yield return cluster;
        }
    }

    // One whose elements lie side by side is what it is without a block.
    private static bool IsBlock(StorageCluster cluster, ImmutableArray<PlannedTensor>.Builder tensors) =>
        cluster.Members.Count > 1 || !tensors[cluster.FirstTensor].Source.IsContiguous;

    private static PlannedBlock Make(StorageCluster cluster, ImmutableArray<PlannedTensor>.Builder tensors, int block)
    {
        var (first, length) = (cluster.First, cluster.Length);
        var source = tensors[cluster.FirstTensor].Source;
        var row = new TensorInfo(source.Name, source.DType, new Shape(length), source.File, source.Offset, source.ByteLength)
        {
            Strides = [1],
            StorageOffset = first,
        };
        var (dtype, values) = (tensors[cluster.FirstTensor].DType, tensors[cluster.FirstTensor].ValuesPerElement);
        foreach (var (i, extent, _) in cluster.Members)
        {
            tensors[i] = tensors[i] with { Place = new BlockPlace(block, (extent.First - first) * values, StridesOf(tensors[i])) };
        }

        return new PlannedBlock(
            new PlannedTensor(row, dtype, values == 1 ? row.Shape : new Shape(length, values)),
            [],
            cluster.Used * source.DType.BlockSize);
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
