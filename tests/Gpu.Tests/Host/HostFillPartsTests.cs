using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class HostFillPartsTests
{
    [Fact]
    public void What_is_done_in_parts_has_no_seam()
    {
        // More than a part, transposed.
        using var tensor = Tensor.Empty(DType.F32, new Shape(1200, 1000), new HostDevice());
        using var turned = tensor.Transpose(0, 1);
        turned.FillUniform(11, -3, 5);
        var values = tensor.AsSpan<float>();
        for (var i = 0; i < values.Length; i += 997)
        {
            Assert.Equal(UniformOracle.Value(11, (i % 1000 * 1200L) + (i / 1000), -3, 5), values[i]);
        }

        var before = tensor.AsSpan<byte>().ToArray();
        turned.SwapBytes();
        for (var i = 0; i < before.Length; i += 4)
        {
            before.AsSpan(i, 4).Reverse();
        }

        Assert.True(before.AsSpan().SequenceEqual(tensor.AsSpan<byte>()));
    }
}
