namespace IlgpuLoader.Gpu;

/// <summary>Tensors with a shape, strides and a dtype but no storage: plans and layouts are tried on them.</summary>
public sealed class MetaDevice : Device
{
    /// <summary>The meta device as most callers want it. Another instance counts its allocations apart.</summary>
    public static MetaDevice Shared { get; } = new();

    /// <inheritdoc/>
    public override DeviceKind Kind => DeviceKind.Meta;

    /// <inheritdoc/>
    public override string Id => "meta";

    /// <inheritdoc/>
    public override string Name => "shapes and dtypes without storage";

    /// <inheritdoc/>
    public override long TotalMemory => 0;

    /// <inheritdoc/>
    /// <remarks>Nothing is ever taken, so there is no limit.</remarks>
    public override long FreeMemory => long.MaxValue;

    /// <inheritdoc/>
    public override int PreferredSlotBytes => 1 << 20;

    /// <inheritdoc/>
    public override DeviceMemory Allocate(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        return new MetaMemory(this, bytes);
    }

    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">Always: nothing is staged for a device without storage.</exception>
    public override StagingPool CreateStagingPool(int slotBytes, int slotCount) =>
        throw new NotSupportedException("Nothing is staged for the meta device: it has no storage.");

    /// <inheritdoc/>
    public override DeviceStream CreateStream() => new MetaStream(this);
}
