using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Compares what tensors hold, wherever they are.</summary>
internal static class TensorContent
{
    // What is compared at a time: as much as one staging slot.
    private const int PieceBytes = 16 << 20;

    /// <summary>Whether two tensors of one dtype and shape have the same bytes, element by element.</summary>
    public static bool Equal(Tensor one, Tensor other)
    {
        using var first = one.To(HostDevice.Shared);
        using var second = other.To(HostDevice.Shared);
        var (left, right) = ((HostMemory)first.Memory, (HostMemory)second.Memory);
        for (long done = 0; done < first.ByteLength; done += PieceBytes)
        {
            var length = (int)Math.Min(PieceBytes, first.ByteLength - done);
            if (!left.AsReadOnlySpan(first.ByteOffset + done, length).SequenceEqual(right.AsReadOnlySpan(second.ByteOffset + done, length)))
            {
                return false;
            }
        }

        return true;
    }
}
