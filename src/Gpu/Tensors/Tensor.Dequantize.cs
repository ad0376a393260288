using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <content>Values of matrices whose scales and zero points are tensors of their own.</content>
public sealed partial class Tensor
{
    /// <summary>The values that this matrix stands for, on the same device.</summary>
    /// <param name="scheme">How its numbers, scales and zero points make values.</param>
    /// <param name="companions">Scales and zero points, on the same device.</param>
    /// <param name="dtype">The dtype of the values, one of the scheme's targets: computed in F32, then rounded once to nearest even.</param>
    /// <returns>A new tensor, [outputs, inputs]. Nothing of a size like its own is allocated beside it.</returns>
    /// <exception cref="ArgumentException">Dtypes, shapes or strides do not fit, a group index is not within the scales, or devices differ.</exception>
    /// <exception cref="ObjectDisposedException">A tensor was disposed.</exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    public Tensor Dequantize(QuantizationScheme scheme, QuantizationCompanions companions, DType dtype)
    {
        ArgumentNullException.ThrowIfNull(scheme);
        var result = Empty(dtype, scheme.ResultShape(Shape), Device);
        try
        {
            result.DequantizeFrom(this, scheme, companions);
            return result;
        }
        catch
        {
            result.Dispose();
            throw;
        }
    }

    /// <summary>Writes the values that a stored matrix stands for into this tensor.</summary>
    /// <param name="payload">The matrix, on the same device; rows may have any distance, and must not overlap this tensor.</param>
    /// <param name="scheme">How its numbers, scales and zero points make values.</param>
    /// <param name="companions">Scales and zero points, on the same device.</param>
    /// <exception cref="InvalidOperationException">This tensor can only be read (<see cref="IsReadOnly"/>).</exception>
    /// <inheritdoc cref="Dequantize" path="/exception"/>
    public void DequantizeFrom(Tensor payload, QuantizationScheme scheme, QuantizationCompanions companions)
    {
        ArgumentNullException.ThrowIfNull(payload);
        ArgumentNullException.ThrowIfNull(scheme);
        ArgumentNullException.ThrowIfNull(companions);
        var source = new QuantizedView(
            scheme, payload.AsStridedView(), companions.Scales.AsStridedView(), companions.ZeroPoints?.AsStridedView(), companions.GroupIndices?.AsStridedView());
        var destination = AsStridedView();
        Memory.ThrowIfReadOnly();
        source = source.Checked(destination);
        foreach (var view in source.Views)
        {
            // Two host devices are one memory.
            if (!ReferenceEquals(view.Memory.Device, Device) && !view.Memory.Device.IsSameMemory(Device))
            {
                throw new ArgumentException($"The matrix and its companions are dequantised on {Device}, and {view.DType.Name} {view.Shape} is on {view.Memory.Device}.", nameof(companions));
            }
        }

        if (Device.Kind != DeviceKind.Meta && companions.GroupIndices is { } indices)
        {
            CheckGroups(indices, source.Scales.Shape[0]);
        }

        using var stream = Device.CreateStream();
        stream.Dequantize(source, destination);
        stream.Synchronize();
    }

    // They come from a file, and say where the scales are read: one that is too large would read elsewhere. A few bytes an input, so that the host looks at them.
    private static void CheckGroups(Tensor indices, long groups)
    {
        using var onHost = indices.To(HostDevice.Shared);
        for (long start = 0; start < onHost.ElementCount; start += PartElements)
        {
            var part = onHost.GetReadOnlySpan<int>(start, (int)Math.Min(PartElements, onHost.ElementCount - start));
            for (var i = 0; i < part.Length; i++)
            {
                if (part[i] < 0 || part[i] >= groups)
                {
                    throw new ArgumentException($"g_idx says group {part[i]} for input {start + i}, and there are {groups} groups.", nameof(indices));
                }
            }
        }
    }
}
