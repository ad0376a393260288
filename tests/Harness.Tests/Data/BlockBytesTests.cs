using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Harness.Tests;

public sealed class BlockBytesTests
{
    [Theory]
    [InlineData(DType.Q4_0)]
    [InlineData(DType.Q8_0)]
    [InlineData(DType.Q4_K)]
    [InlineData(DType.Q6_K)]
    public void Random_blocks_decode_to_finite_values_that_are_not_all_the_same(DType dtype)
    {
        var blocks = BlockBytes.Of(dtype, 64L * dtype.BlockSize);
        using var stream = HostDevice.Shared.CreateStream();
        using var memory = (HostMemory)HostDevice.Shared.Allocate(64L * dtype.BlockLength * sizeof(float));
        stream.Place(blocks, dtype, memory, 0, DType.F32);
        var values = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(memory.AsSpan(0, (int)memory.Length)).ToArray();
        Assert.All(values, value => Assert.True(float.IsFinite(value)));
        Assert.True(values.Distinct().Count() > 100);
    }

    [Theory]
    [InlineData(".safetensors", DType.F32)]
    [InlineData(".pt", DType.F32)]
    public async Task Files_have_the_asked_size_and_open(string extension, DType dtype)
    {
        using var folder = new TemporaryFolder();
        var options = new HarnessOptions { DataFolder = folder.Path, Mebibytes = 1 };
        var path = await TensorFiles.FloatsAsync(options, extension, CancellationToken.None);
        await using var checkpoint = await Checkpoint.OpenAsync(path);
        Assert.Equal((256, 1L << 20, dtype), (checkpoint.Tensors.Length, checkpoint.TensorBytes, checkpoint.Tensors[0].DType));
        var written = File.GetLastWriteTimeUtc(path);
        Assert.Equal(path, await TensorFiles.FloatsAsync(options, extension, CancellationToken.None));
        Assert.Equal(written, File.GetLastWriteTimeUtc(path));
    }
}
