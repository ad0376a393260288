using System.Runtime.CompilerServices;
using ILGPU;

namespace IlgpuLoader.Gpu;

/// <summary>Loaded tensors as ILGPU sees them.</summary>
public static class IlgpuTensors
{
    /// <summary>The elements of a contiguous tensor as an array view, for the application's own kernels.</summary>
    /// <typeparam name="T">
    /// A type of the element's size (float or int for F32; Half, short or ushort for F16), or byte for the stored
    /// bytes of any type, block types included.
    /// </typeparam>
    /// <param name="tensor">A tensor on an <see cref="IlgpuDevice"/>; it keeps the memory, so it is disposed after the last use of the view.</param>
    /// <returns>The view; empty for a tensor without elements.</returns>
    /// <exception cref="InvalidOperationException">The tensor is on another kind of device or on a group's (<see cref="Tensor.On"/> takes one device's), not contiguous, or begins inside a <typeparamref name="T"/>.</exception>
    /// <exception cref="ArgumentException">The size of <typeparamref name="T"/> is not that of an element.</exception>
    /// <exception cref="ObjectDisposedException">The tensor was disposed.</exception>
    public static ArrayView<T> AsArrayView<T>(this Tensor tensor)
        where T : unmanaged
    {
        ArgumentNullException.ThrowIfNull(tensor);
        ObjectDisposedException.ThrowIf(tensor.IsDisposed, tensor);
        Tensor.CheckElementType<T>(tensor.DType);
        if (tensor.Memory is not IlgpuMemory memory)
        {
            throw new InvalidOperationException(tensor.Device is DeviceGroup
                ? $"{tensor} is on every device of a group: take one device's with On(device)."
                : $"{tensor} is not on an ILGPU accelerator: copy it there.");
        }

        if (!tensor.IsContiguous)
        {
            throw new InvalidOperationException($"{tensor} is not contiguous: copy it into a contiguous tensor first.");
        }

        if (tensor.ByteLength == 0)
        {
            return ArrayView<T>.Empty;
        }

        // ILGPU's cast would round down to a whole element.
        if (tensor.ByteOffset % Unsafe.SizeOf<T>() != 0)
        {
            throw new InvalidOperationException(
                $"{tensor} begins at byte {tensor.ByteOffset} of its memory, inside a {typeof(T).Name}: copy it into a tensor of its own first.");
        }

        return memory.Range(tensor.ByteOffset, tensor.ByteLength).Cast<T>();
    }
}
