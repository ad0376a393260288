using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>Two tensors, wherever they are, bit for bit.</summary>
internal static class TensorComparison
{
    public static void Compare(string what, Tensor expected, Tensor actual, CheckTally tally)
    {
        if (expected.DType != actual.DType || expected.Shape != actual.Shape)
        {
            tally.Fail($"{what}: expected {expected}, found {actual}");
            return;
        }

        using var wantedTensor = OnHost(expected);
        using var foundTensor = OnHost(actual);
        // In parts: a span ends at 2 GiB.
        const int part = 1 << 28;
        var difference = false;
        for (long start = 0; start < expected.ByteLength && !difference; start += part)
        {
            var length = (int)Math.Min(part, expected.ByteLength - start);
            var wanted = wantedTensor.GetSpan<byte>(start, length);
            var found = foundTensor.GetSpan<byte>(start, length);
            if (!wanted.SequenceEqual(found))
            {
                difference = true;
                tally.Compare($"{what}, from byte {start}", wanted, found);
            }
        }

        if (!difference)
        {
            tally.Pass();
        }
    }

    // Side by side in the host's memory. Strides are taken apart there: what brings bytes back must not be what is checked.
    private static Tensor OnHost(Tensor tensor)
    {
        if (tensor.IsContiguous)
        {
            return tensor.To(HostDevice.Shared);
        }

        using var bytes = new Tensor(tensor.Memory, DType.U8, new Shape(tensor.Memory.Length));
        using var copy = bytes.To(HostDevice.Shared);
        using var strided = new Tensor(copy.Memory, tensor.DType, tensor.Shape, tensor.Strides, tensor.ByteOffset);
        return strided.To(HostDevice.Shared);
    }
}
