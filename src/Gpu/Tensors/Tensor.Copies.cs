using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <content>Copies between tensors, with conversion.</content>
public sealed partial class Tensor
{
    /// <summary>
    /// Copies another tensor's elements into this one, whatever the strides of either, converting between dtypes where
    /// they differ: from every type that has a codec to <see cref="Codecs.Targets"/>.
    /// </summary>
    /// <param name="source">The same shape, or one element where this has one element; must not overlap this tensor.</param>
    /// <exception cref="ArgumentException">The shapes differ, there is no conversion, or elements of this tensor share places.</exception>
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

        TensorLayout.CheckNoPlaceTwice(to);

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
}
