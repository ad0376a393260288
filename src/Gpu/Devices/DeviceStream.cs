using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Work of one lane on a device, done in the order it was given. The host does it at once; a GPU does it later, and a
/// <see cref="Fence"/> tells when. One thread at a time may use a stream.
/// </summary>
[SuppressMessage("Naming", "CA1711:Identifiers should not have incorrect suffix", Justification = "A stream of work, as CUDA and ILGPU call it.")]
public abstract class DeviceStream : IDisposable
{
    /// <summary>The device.</summary>
    public abstract Device Device { get; }

    /// <summary>
    /// Brings stored elements from a staging slot to their place: copied where the types are the same, else decoded on
    /// the device.
    /// </summary>
    /// <param name="staged">Whole elements or blocks, in a slot of this device's staging pool, or of that of a group it is in; they must stay there until a fence recorded later has passed.</param>
    /// <param name="stored">The type of the staged elements.</param>
    /// <param name="destination">Memory of this device.</param>
    /// <param name="destinationOffset">Where the elements go, in bytes from the start of the memory.</param>
    /// <param name="target">The type they get.</param>
    /// <exception cref="ArgumentException">The range is not within the memory, or the types are not converted so.</exception>
    public abstract void Place(ReadOnlySpan<byte> staged, DType stored, DeviceMemory destination, long destinationOffset, DType target);

    /// <summary>Decodes some of the elements of staged groups: a part that begins or ends inside a block, or inside a byte of F4.</summary>
    /// <inheritdoc cref="Place"/>
    /// <param name="staged">Whole blocks or bytes, as for <see cref="Place"/>.</param>
    /// <param name="stored">The type of the staged elements, one value each.</param>
    /// <param name="skip">How many elements come before the wanted ones.</param>
    /// <param name="count">How many are wanted.</param>
    /// <param name="destination">Memory of this device.</param>
    /// <param name="destinationOffset">Where the first wanted element goes, in bytes from the start of the memory.</param>
    /// <param name="target">The type they get, another one than they have.</param>
    public abstract void PlacePart(
        ReadOnlySpan<byte> staged, DType stored, long skip, long count, DeviceMemory destination, long destinationOffset, DType target);

    /// <summary>Copies elements between two strided views of this device, converting between floating types where they differ.</summary>
    /// <exception cref="ArgumentException">The shapes differ, or there is no conversion.</exception>
    public abstract void Copy(in StridedView source, in StridedView destination);

    /// <summary>Marks this point of the stream.</summary>
    public abstract Fence Record();

    /// <summary>Waits until all work given so far is done; blocks.</summary>
    public abstract void Synchronize();

    /// <summary>Ends the stream.</summary>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Ends the stream.</summary>
    protected abstract void Dispose(bool disposing);
}
