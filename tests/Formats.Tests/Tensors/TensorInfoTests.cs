using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class TensorInfoTests
{
    private static readonly CheckpointFile File =
        new("model.safetensors", "folder/model.safetensors", "safetensors", new MemorySource(new byte[100]));

    [Fact]
    public void Tensor_GivesWhatItWasMadeOf()
    {
        var tensor = new TensorInfo("a.weight", DType.BF16, new Shape(2, 3), File, 16, 12);
        Assert.Equal("a.weight", tensor.Name);
        Assert.Equal(DType.BF16, tensor.DType);
        Assert.Equal(new Shape(2, 3), tensor.Shape);
        Assert.Same(File, tensor.File);
        Assert.Equal(16, tensor.Offset);
        Assert.Equal(12, tensor.ByteLength);
        Assert.Equal(6, tensor.ElementCount);
        Assert.Equal("a.weight BF16 [2, 3]", tensor.ToString());
    }

    [Fact]
    public void Tensor_WithoutStrides_IsItsWholeStorage()
    {
        var tensor = new TensorInfo("a", DType.F32, Shape.Scalar, File, 8, 4);
        Assert.True(tensor.IsWholeStorage);
        Assert.True(tensor.Strides.IsDefault);
        Assert.Equal(0, tensor.StorageOffset);
    }

    [Fact]
    public void Tensor_WithStrides_IsAView()
    {
        var tensor = new TensorInfo("a", DType.F32, new Shape(2, 2), File, 8, 40) { Strides = [1, 2], StorageOffset = 3 };
        Assert.False(tensor.IsWholeStorage);
        Assert.Equal([1L, 2L], tensor.Strides.AsEnumerable());
        Assert.Equal(3, tensor.StorageOffset);
    }

    [Fact]
    public void File_HasTheLengthOfItsSource_AndIsShownAsItsPath()
    {
        Assert.Equal(100, File.Length);
        Assert.Equal("model.safetensors", File.Name);
        Assert.Equal("safetensors", File.Format);
        Assert.Equal("folder/model.safetensors", File.ToString());
    }
}
