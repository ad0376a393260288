using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <content>Copies between tensors, with conversion.</content>
public sealed partial class Tensor
{
    /// <summary>
    /// Copies another tensor's elements into this one, whatever the strides of either, converting between dtypes where
    /// they differ: from every type that has a codec to <see cref="Codecs.Targets"/>. Between two devices of which neither is
    /// the host the elements go through a host tensor.
    /// </summary>
    /// <param name="source">The same shape, or one element where this has one element; must not overlap this tensor.</param>
    /// <exception cref="ArgumentException">The shapes differ, there is no conversion, or elements of this tensor share places.</exception>
    /// <exception cref="InvalidOperationException">This tensor can only be read (<see cref="IsReadOnly"/>).</exception>
    /// <exception cref="ObjectDisposedException">Either tensor was disposed.</exception>
    public void CopyFrom(Tensor source)
    {
        ArgumentNullException.ThrowIfNull(source);
        var (from, to) = (source.AsStridedView(), AsStridedView());
        if (from.Shape != to.Shape && (from.Shape.ElementCount != 1 || to.Shape.ElementCount != 1))
        {
            throw new ArgumentException($"A tensor of shape {from.Shape} cannot be copied into one of shape {to.Shape}.", nameof(source));
        }

        if (source.Device.Kind == DeviceKind.Meta && Device.Kind != DeviceKind.Meta)
        {
            throw new ArgumentException($"{source} has no elements to copy.", nameof(source));
        }

        Memory.ThrowIfReadOnly();
        TensorLayout.CheckNoPlaceTwice(to);

        if (!ReferenceEquals(source.Device, Device)
            && source.Device is { IsHost: false }
            && Device is { IsHost: false, Kind: not DeviceKind.Meta }
            && !Device.CopiesFrom(source.Device))
        {
            CopyFromAnother(source);
            return;
        }

        // The side that is not the host knows how to reach the other.
        var device = Device.IsHost ? source.Device : Device;
        using var stream = device.CreateStream();
        stream.Copy(from, to);
        stream.Synchronize();
    }

    /// <summary>A contiguous copy in another dtype, on the same device.</summary>
    /// <returns>A new tensor, also where the dtype is the same.</returns>
    /// <inheritdoc cref="CopyFrom"/>
    public Tensor To(DType dtype) => To(dtype, Device);

    /// <summary>A contiguous copy on another device.</summary>
    /// <returns>A new tensor, also where the device is the same.</returns>
    /// <inheritdoc cref="CopyFrom"/>
    public Tensor To(Device device) => To(DType, device);

    /// <summary>A contiguous copy in another dtype, on another device.</summary>
    /// <returns>A new tensor.</returns>
    /// <inheritdoc cref="CopyFrom"/>
    public Tensor To(DType dtype, Device device)
    {
        var copy = Empty(dtype, Shape, device);
        try
        {
            copy.CopyFrom(this);
            return copy;
        }
        catch
        {
            copy.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Offloads the tensor: a contiguous copy, of the same dtype and shape, in host memory that is page-locked for the
    /// tensor's device. <see cref="To(Device)"/> brings it back. Disposing this tensor then frees the device's memory.
    /// </summary>
    /// <param name="host">The host device that counts the memory; null for the shared one, or the tensor's own.</param>
    /// <returns>A new tensor. Of a tensor on the host it is an ordinary copy: no driver copies it.</returns>
    /// <exception cref="DeviceMemoryException">The host has not enough memory, or the driver refused to lock it; nothing was allocated.</exception>
    /// <exception cref="ArgumentException">The tensor is on the meta device and has no elements to copy.</exception>
    /// <exception cref="ObjectDisposedException">The tensor was disposed.</exception>
    public Tensor Offload(HostDevice? host = null) => ToPageLocked(Device, host);

    /// <summary>
    /// A contiguous copy, of the same dtype and shape, in host memory that is page-locked for a device: for what is prepared
    /// on the host, and then copied there often or beside other work.
    /// </summary>
    /// <param name="device">The device that the copy will go to; keep it until the copy is disposed.</param>
    /// <param name="host">The host device that counts the memory; null for the shared one, or the tensor's own.</param>
    /// <returns>A new tensor, in ordinary memory where the device has no use for locked pages (<see cref="Device.UsesPageLockedMemory"/>).</returns>
    /// <inheritdoc cref="Offload"/>
    public Tensor ToPageLocked(Device device, HostDevice? host = null)
    {
        ArgumentNullException.ThrowIfNull(device);
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        if (Device.Kind == DeviceKind.Meta)
        {
            throw new ArgumentException($"{this} has no elements to copy.");
        }

        host ??= Device as HostDevice ?? HostDevice.Shared;
        using var memory = host.AllocatePageLocked(ByteLength, device);
        var copy = new Tensor(memory, DType, Shape);
        try
        {
            copy.CopyFrom(this);
            return copy;
        }
        catch
        {
            copy.Dispose();
            throw;
        }
    }

    // Between two devices of which neither is the host: a group has what one of its members has, and no device reaches
    // another's memory, but each reaches the host's.
    private void CopyFromAnother(Tensor source)
    {
        if (source.Device is DeviceGroup group)
        {
            using var one = source.On(group.Members.Contains(Device) ? Device : group.Members.FirstOrDefault(member => member.IsHost) ?? group.Members[0]);
            CopyFrom(one);
            return;
        }

        using var onHost = source.To(HostDevice.Shared);
        CopyFrom(onHost);
    }
}
