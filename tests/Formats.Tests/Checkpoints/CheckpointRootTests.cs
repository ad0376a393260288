using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>A root narrows a checkpoint to the tensors below one key, in any format.</summary>
public sealed class CheckpointRootTests
{
    [Fact]
    public async Task Open_WithRoot_KeepsWhatIsBelowItWithoutItsName()
    {
        await using var checkpoint = await OpenAsync("model", null, "model.a", "optimizer.state.0", "model.b.c", "modelled");
        Assert.Equal(["a", "b.c"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.Equal(checkpoint.Tensors[1], checkpoint["b.c"]);
        Assert.False(checkpoint.TryGetTensor("model.a", out _));
        Assert.Equal(("model", null, 2L), (checkpoint.Root, checkpoint.WeightsRoot, checkpoint.TensorBytes));
    }

    [Fact]
    public async Task Open_WithRootOfSeveralKeys_IsOnePrefix()
    {
        await using var checkpoint = await OpenAsync("optimizer.state", null, "model.a", "optimizer.state.0");
        Assert.Equal("0", Assert.Single(checkpoint.Tensors).Name);
    }

    [Fact]
    public async Task Open_WithoutRoot_KeepsAllNames()
    {
        await using var checkpoint = await OpenAsync(null, null, "model.a", "optimizer.state.0");
        Assert.Equal(["model.a", "optimizer.state.0"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.Null(checkpoint.Root);
        // No structure shows a root here: the name has dots, as all names have.
        Assert.False(checkpoint.TryGetTensor("a", out _));
    }

    [Fact]
    public async Task Open_RootThatNothingIsBelow_ThrowsAndNamesTheOthers()
    {
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => OpenAsync("state_dict", null, "model.a", "optimizer.0", "x"));
        Assert.Equal(CheckpointErrorCode.RootMissing, exception.Code);
        Assert.Contains("there are no tensors below 'state_dict'; there are tensors below 'model', 'optimizer'.", exception.Message, StringComparison.Ordinal);

        exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => OpenAsync("x", null, "x"));
        Assert.Contains("below 'x'; the tensors lie at the top.", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_AliasesOfWhatTheRootLeavesOut_AreTiedToTheFirstOfThem()
    {
        const string ties = """{"model.head":"ema.embed","model.tail":"ema.embed","model.in":"model.a"}""";
        await using var checkpoint = await OpenAsync("model", ties, "ema.embed", "model.a");
        Assert.Equal(
            [("head", null), ("tail", "head"), ("a", null), ("in", "a")],
            checkpoint.Tensors.Select(tensor => (tensor.Name, tensor.TiedTo)));
        Assert.Equal(2, checkpoint.TensorBytes);
    }

    // One byte a tensor, in this order.
    private static Task<Checkpoint> OpenAsync(string? root, string? ties, params string[] names)
    {
        var builder = new SafetensorsBuilder();
        foreach (var name in names)
        {
            builder.Add(name, "U8", [1], [(byte)name.Length]);
        }

        if (ties is not null)
        {
            builder.AddMetadata(new Dictionary<string, string> { ["ties"] = ties });
        }

        return Checkpoint.OpenAsync(new MemorySource(builder.ToBytes(), "m.safetensors"), new CheckpointOptions { Root = root });
    }
}
