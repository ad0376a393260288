using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>
/// Lays small destinations one behind the other into slabs, in the order of the plan. One that does not fit into a slab by itself has
/// memory of its own, and the slab goes on behind it: the norms between the matrices of a model lie together. Linear.
/// </summary>
/// <param name="tensors">The tensors of the plan, ties and blocks found.</param>
/// <param name="blocks">The blocks of the plan.</param>
/// <param name="slabBytes">The most bytes that a slab has.</param>
internal sealed class SlabLayout(
    ImmutableArray<PlannedTensor>.Builder tensors, ImmutableArray<PlannedBlock>.Builder blocks, long slabBytes)
{
    // What CUDA aligns allocations to: as good as an allocation for every kernel's widest loads, and four cache lines of the host. One
    // number for all devices, so that a layout does not depend on where it is.
    private const int Alignment = 256;

    private readonly ImmutableArray<long>.Builder _slabs = ImmutableArray.CreateBuilder<long>();

    // Of the slab that is being filled: destinations and where they begin.
    private readonly List<(int Destination, long ByteOffset)> _members = [];
    private long _end;

    /// <summary>Gives each destination that lies in a slab its place there.</summary>
    /// <returns>The sizes of the slabs in bytes.</returns>
    public ImmutableArray<long> Form()
    {
        for (var i = 0; i < tensors.Count; i++)
        {
            if (tensors[i].Block is { } block)
            {
                // Its first tensor stands for it.
                if (blocks[block].Tensors[0] == i)
                {
                    Add(tensors.Count + block, blocks[block].Memory);
                }
            }
            else if (tensors[i].TiedTo is null)
            {
                Add(i, tensors[i]);
            }
        }

        Close();
        return _slabs.ToImmutable();
    }

    private void Add(int destination, PlannedTensor memory)
    {
        // Without bytes it has no place: any number of such would have the same. A view of a mapped file takes no memory.
        var byteLength = memory.ByteLength;
        if (byteLength == 0 || byteLength > slabBytes || memory.IsMapped)
        {
            return;
        }

        var offset = (_end + Alignment - 1) / Alignment * Alignment;
        if (offset > slabBytes - byteLength)
        {
            Close();
            offset = 0;
        }

        _members.Add((destination, offset));
        _end = offset + byteLength;
    }

    // One by itself needs no slab.
    private void Close()
    {
        if (_members.Count > 1)
        {
            foreach (var (destination, offset) in _members)
            {
                var place = new SlabPlace(_slabs.Count, offset);
                if (destination < tensors.Count)
                {
                    tensors[destination] = tensors[destination] with { Slab = place };
                }
                else
                {
                    var block = destination - tensors.Count;
                    blocks[block] = blocks[block] with { Memory = blocks[block].Memory with { Slab = place } };
                }
            }

            _slabs.Add(_end);
        }

        _members.Clear();
        _end = 0;
    }
}
