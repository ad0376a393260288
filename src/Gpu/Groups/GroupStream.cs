using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>Work on every member of a group: one stream of each.</summary>
internal sealed class GroupStream : DeviceStream
{
    private readonly DeviceGroup _group;
    private readonly ImmutableArray<DeviceStream> _streams;

    // The host works at once: after the others, which work meanwhile.
    private readonly ImmutableArray<int> _order;

    public GroupStream(DeviceGroup group)
    {
        _group = group;
        _streams = AllOrNone.Make(group.Members, member => member.CreateStream());
        _order = [.. Enumerable.Range(0, group.Members.Length).OrderBy(member => group.Members[member].IsHost)];
    }

    public override Device Device => _group;

    public override void Place(ReadOnlySpan<byte> staged, DType stored, DeviceMemory destination, long destinationOffset, DType target)
    {
        var memory = Own(destination);
        foreach (var member in _order)
        {
            _streams[member].Place(staged, stored, memory[member], destinationOffset, target);
        }
    }

    public override void PlacePart(
        ReadOnlySpan<byte> staged, DType stored, long skip, long count, DeviceMemory destination, long destinationOffset, DType target)
    {
        var memory = Own(destination);
        foreach (var member in _order)
        {
            _streams[member].PlacePart(staged, stored, skip, count, memory[member], destinationOffset, target);
        }
    }

    /// <inheritdoc/>
    /// <remarks>From the group to the host: once, from the host's own share if it is a member.</remarks>
    public override void Copy(in StridedView source, in StridedView destination)
    {
        if (destination.Memory is not GroupMemory && source.Memory is GroupMemory)
        {
            var nearest = _order[^1];
            _streams[nearest].Copy(Of(source, nearest), Of(destination, nearest));
            return;
        }

        foreach (var member in _order)
        {
            _streams[member].Copy(Of(source, member), Of(destination, member));
        }
    }

    public override void Fill(in StridedView destination, ReadOnlySpan<byte> element)
    {
        foreach (var member in _order)
        {
            _streams[member].Fill(Of(destination, member), element);
        }
    }

    public override void FillUniform(
        DeviceMemory destination, long destinationOffset, DType dtype, long firstElement, long count, ulong seed, float low, float high)
    {
        var memory = Own(destination);
        foreach (var member in _order)
        {
            _streams[member].FillUniform(memory[member], destinationOffset, dtype, firstElement, count, seed, low, high);
        }
    }

    public override void SwapBytes(DeviceMemory memory, long offset, long count, int size)
    {
        var own = Own(memory);
        foreach (var member in _order)
        {
            _streams[member].SwapBytes(own[member], offset, count, size);
        }
    }

    /// <inheritdoc/>
    /// <remarks>Every member has the same values: one sums them up, the first GPU.</remarks>
    public override void Summarise(DeviceMemory values, long offset, DType dtype, long count, Span<Moments> chunks)
    {
        var first = _order[0];
        _streams[first].Summarise(Own(values)[first], offset, dtype, count, chunks);
    }

    public override void Dequantize(in QuantizedView source, in StridedView destination)
    {
        foreach (var member in _order)
        {
            _streams[member].Dequantize(source.With(view => Of(view, member)), Of(destination, member));
        }
    }

    public override Fence Record()
    {
        var fences = new Fence[_streams.Length];
        for (var i = 0; i < fences.Length; i++)
        {
            fences[i] = _streams[i].Record();
        }

        return new GroupFence(fences);
    }

    public override void Synchronize() => AllOrNone.ForEach(_streams, stream => stream.Synchronize());

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            AllOrNone.ForEach(_streams, stream => stream.Dispose());
        }
    }

    // A view as one member has it; the host's memory is every member's to reach.
    private StridedView Of(in StridedView view, int member) =>
        view.Memory.Device.IsHost ? view : view with { Memory = Own(view.Memory)[member] };

    private GroupMemory Own(DeviceMemory memory) =>
        memory is GroupMemory own && ReferenceEquals(own.Device, _group)
            ? own
            : throw new ArgumentException($"The memory is of {memory.Device}, and the stream of {_group}.", nameof(memory));
}
