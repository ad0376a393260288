using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Several devices that hold the same bytes: what is loaded onto a group is read once, staged once and placed on every
/// member. <see cref="Tensor.On"/> gives a tensor of the group as one member has it. Safe for any thread. The members stay
/// their owners'.
/// </summary>
/// <remarks>
/// <see cref="Device.LiveAllocations"/> and <see cref="Device.LiveBytes"/> of the group count each allocation once; every
/// member counts its own share of it, which is as large.
/// </remarks>
public sealed class DeviceGroup : Device
{
    /// <summary>What stands between the members' ids in the group's own.</summary>
    public const char Separator = ',';

    /// <summary>Makes a group.</summary>
    /// <param name="members">Two devices or more, none of them twice; the host may be one of them, once.</param>
    /// <exception cref="ArgumentException">There are fewer than two, one is there twice, or one is the meta device or a group.</exception>
    public DeviceGroup(params IEnumerable<Device> members)
    {
        ArgumentNullException.ThrowIfNull(members);
        Members = [.. members];
        if (Members.Length < 2)
        {
            throw new ArgumentException($"A group has two devices or more, and {Members.Length} were given: a single one is used by itself.", nameof(members));
        }

        foreach (var (index, member) in Members.Index())
        {
            ArgumentNullException.ThrowIfNull(member, nameof(members));
            if (member.Kind is DeviceKind.Meta or DeviceKind.Group)
            {
                throw new ArgumentException($"{member.Id} cannot be in a group: a member is one device that holds bytes.", nameof(members));
            }

            // Two host devices are one memory, whatever they count apart, and so is an accelerator that was wrapped twice.
            if (Members.Take(index).Any(member.IsSameMemory))
            {
                throw new ArgumentException($"{member.Id} is in the group twice, and would hold everything twice.", nameof(members));
            }
        }
    }

    /// <summary>The devices, in the order in which they were given.</summary>
    public ImmutableArray<Device> Members { get; }

    /// <inheritdoc/>
    public override DeviceKind Kind => DeviceKind.Group;

    /// <inheritdoc/>
    public override string Id => string.Join(Separator, Members.Select(member => member.Id));

    /// <inheritdoc/>
    public override string Name => $"{Members.Length} devices: {string.Join("; ", Members.Select(member => member.Name))}";

    /// <inheritdoc/>
    /// <remarks>That of the member that has least, since each holds everything.</remarks>
    public override long TotalMemory => Members.Min(member => member.TotalMemory);

    /// <inheritdoc/>
    /// <remarks>That of the member that has least, since each holds everything.</remarks>
    public override long FreeMemory => Members.Min(member => member.FreeMemory);

    /// <inheritdoc/>
    /// <remarks>The largest of the members'.</remarks>
    public override int PreferredSlotBytes => Members.Max(member => member.PreferredSlotBytes);

    /// <inheritdoc/>
    public override bool UsesPageLockedMemory => Members.Any(member => member.UsesPageLockedMemory);

    /// <summary>Allocates memory on every member.</summary>
    /// <param name="bytes">The size in bytes on each of them; 0 is allowed.</param>
    /// <returns>Memory with one reference, which the caller releases by disposing it.</returns>
    /// <exception cref="DeviceMemoryException">A member, which the exception names, has not enough memory; nothing was allocated.</exception>
    public override DeviceMemory Allocate(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        return new GroupMemory(this, bytes, AllOrNone.Make(Members, member => member.Allocate(bytes)));
    }

    /// <inheritdoc/>
    /// <remarks>
    /// One pool for all members: that of the first that uses page-locked memory, which any other copies from as well, else
    /// that of the first.
    /// </remarks>
    public override StagingPool CreateStagingPool(int slotBytes, int slotCount) =>
        (FindPageLocking() ?? Members[0]).CreateStagingPool(slotBytes, slotCount);

    /// <inheritdoc/>
    public override DeviceStream CreateStream() => new GroupStream(this);

    /// <inheritdoc/>
    public override void Prepare(IEnumerable<(DType Stored, DType Target)> conversions)
    {
        ArgumentNullException.ThrowIfNull(conversions);
        var all = conversions.ToArray();
        foreach (var member in Members)
        {
            member.Prepare(all);
        }
    }

    /// <inheritdoc/>
    /// <remarks>Locked for the first member that uses such memory, once: a driver refuses the same pages a second time.</remarks>
    protected internal override IDisposable? LockPages(nint address, long bytes) => FindPageLocking()?.LockPages(address, bytes);

    private Device? FindPageLocking() => Members.FirstOrDefault(member => member.UsesPageLockedMemory);
}
