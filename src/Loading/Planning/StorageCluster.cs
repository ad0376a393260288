namespace IlgpuLoader.Loading;

/// <summary>Tensors whose extents follow one another in a storage without a gap. Not safe for several threads.</summary>
internal sealed class StorageCluster
{
    private readonly List<StorageMember> _members = [];
    private long _used;
    private long _elements;

    /// <summary>The tensors, in the order of their first elements.</summary>
    public IReadOnlyList<StorageMember> Members => _members;

    /// <summary>The index in the plan of the tensor that comes first there.</summary>
    public int FirstTensor { get; private set; } = int.MaxValue;

    /// <summary>The first element.</summary>
    public long First { get; private set; }

    /// <summary>The element behind the last one.</summary>
    public long End { get; private set; }

    /// <summary>The number of elements from the first to the last.</summary>
    public long Length => End - First;

    /// <summary>How many of them some tensor has, at most: what several have counts several times, as far as there are so many.</summary>
    public long Used => Math.Min(_used, Length);

    /// <summary>
    /// Whether the tensors, each by itself, would take as much memory, as expanded ones do; or whether at least half is used: the rest costs
    /// less memory than the tensors themselves, and reading it less than finding a way round it.
    /// </summary>
    public bool IsWorthReading => _elements >= Length || StorageExtent.IsWorthReading(Used, Length);

    /// <summary>Whether there are several, and enough is used for them to share the memory.</summary>
    public bool IsWorthSharing => _members.Count > 1 && IsDenseEnoughToShare;

    /// <summary>
    /// Whether at least a quarter is used. Who ties tensors means them to be one memory, and pays for that with what nobody uses: four times
    /// what the tensors take at most, as much as the step of a fused and interleaved projection's parts.
    /// </summary>
    public bool IsDenseEnoughToShare => _elements >= Length || (Length - Used + 2) / 3 <= Used;

    /// <summary>A cluster of one.</summary>
    public static StorageCluster Of(StorageMember member)
    {
        var cluster = new StorageCluster { First = member.Extent.First };
        cluster.Add(member);
        return cluster;
    }

    /// <summary>Adds a tensor that begins neither before the cluster nor behind its end.</summary>
    public void Add(StorageMember member)
    {
        _members.Add(member);
        FirstTensor = Math.Min(FirstTensor, member.Tensor);
        End = Math.Max(End, member.Extent.End);
        _used = Sum(_used, member.Extent.Used);
        _elements = Sum(_elements, member.ElementCount);
    }

    // Expanded views may have any number of elements; beyond 64 bits it does not matter how many.
    private static long Sum(long left, long right) => left > long.MaxValue - right ? long.MaxValue : left + right;
}
