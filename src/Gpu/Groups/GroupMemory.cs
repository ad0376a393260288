using System.Collections.Immutable;

namespace IlgpuLoader.Gpu;

/// <summary>
/// The same bytes on every member of a group. Holds one reference to each member's memory, which somebody else may keep
/// beyond the group's.
/// </summary>
/// <param name="group">The group.</param>
/// <param name="length">The size of each in bytes.</param>
/// <param name="parts">The members' memories, in their order.</param>
internal sealed class GroupMemory(DeviceGroup group, long length, ImmutableArray<DeviceMemory> parts) : DeviceMemory(group, length)
{
    /// <summary>The memory of the member of that index.</summary>
    public DeviceMemory this[int member] => parts[member];

    /// <inheritdoc/>
    /// <returns>The time of those that are on the host.</returns>
    public override TimeSpan Populate(long offset, long length)
    {
        var time = TimeSpan.Zero;
        foreach (var part in parts)
        {
            time += part.Populate(offset, length);
        }

        return time;
    }

    /// <inheritdoc/>
    public override void MarkPopulated()
    {
        foreach (var part in parts)
        {
            part.MarkPopulated();
        }
    }

    /// <inheritdoc/>
    protected override void Free() => AllOrNone.ForEach(parts, part => part.Release());
}
