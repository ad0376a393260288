using System.Runtime.CompilerServices;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <content>Copies between views.</content>
internal sealed partial class IlgpuStream
{
    /// <inheritdoc/>
    public override void Copy(in StridedView source, in StridedView destination)
    {
        if (source.Shape != destination.Shape && (source.Shape.ElementCount != 1 || destination.Shape.ElementCount != 1))
        {
            throw new ArgumentException($"A tensor of shape {source.Shape} cannot be copied into one of shape {destination.Shape}.");
        }

        destination.Memory.ThrowIfReadOnly();
        if (source.Shape.ElementCount == 0)
        {
            return;
        }

        if (source.IsContiguous && destination.IsContiguous && source.DType == destination.DType && Reaches(source.Memory) && Reaches(destination.Memory))
        {
            CopyContiguous(source, destination);
            return;
        }

        CopyOrConvert(source, destination);
    }

    // The driver copies within an accelerator, and between it and the host.
    private bool Reaches(DeviceMemory memory) => memory is HostMemory || IsHere(memory);

    private void CopyContiguous(in StridedView source, in StridedView destination)
    {
        var length = source.DType.ByteCount(source.Shape.ElementCount);
        switch (source.Memory, destination.Memory)
        {
            case (HostMemory host, IlgpuMemory):
                Upload(host, source.ByteOffset, Own(destination.Memory), destination.ByteOffset, length);
                break;
            case (IlgpuMemory, HostMemory host):
                Download(Own(source.Memory), source.ByteOffset, host, destination.ByteOffset, length);
                break;
            default:
                CopyBytes(Own(source.Memory), source.ByteOffset, Own(destination.Memory), destination.ByteOffset, length);
                break;
        }
    }

    private unsafe void Upload(HostMemory source, long sourceOffset, IlgpuMemory destination, long destinationOffset, long length)
    {
        // Within the memory, and not freed.
        source.CheckRange(sourceOffset, length);
        var room = destination.Range(destinationOffset, length);
        Do("bytes were uploaded", () => HostCopies.Upload(_stream, in Unsafe.AsRef<byte>((byte*)source.Address + sourceOffset), room));
    }

    private unsafe void Download(IlgpuMemory source, long sourceOffset, HostMemory destination, long destinationOffset, long length)
    {
        destination.CheckRange(destinationOffset, length);
        var bytes = source.Range(sourceOffset, length);
        Do("bytes were downloaded", () => HostCopies.Download(_stream, bytes, ref Unsafe.AsRef<byte>((byte*)destination.Address + destinationOffset)));
    }
}
