using IlgpuLoader.Formats.Torch;
using IlgpuLoader.TestKit;
using Xunit;
using static IlgpuLoader.TestKit.PickleBytes;

namespace IlgpuLoader.Formats.Tests;

/// <summary>The devices that tensors were on when they were saved.</summary>
public sealed class TorchLocationTests
{
    [Theory]
    [InlineData(false, null)]
    [InlineData(true, null)]
    [InlineData(false, "model")]
    public async Task LocationOf_StoragesOfSeveralDevices_IsWhatThePickleSays(bool isStream, string? root)
    {
        var value = Dictionary(
            ("model", Dictionary(
                ("cpu", At("0", Text("cpu"))),
                ("cuda", At("1", Text("cuda:0"))),
                ("view", At("1", Text("cuda:0"), 1)),
                ("xpu", At("2", Text("xpu:3"))),
                ("none", At("3", None)))));
        var builder = new TorchBuilder().AddStorage("0", new byte[8], 2).AddStorage("1", new byte[8], 2).AddStorage("2", new byte[8], 2).AddStorage("3", new byte[8], 2);
        var bytes = isStream ? builder.ToStream(value) : builder.ToArchive(value);
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(bytes, "m.bin"), new CheckpointOptions { Root = root });
        var header = Assert.IsType<TorchHeader>(checkpoint.Files[0].Header);
        Assert.Equal(
            ["cpu cpu", "cuda cuda:0", "none cpu", "view cuda:0", "xpu xpu:3"],
            checkpoint.Tensors.Select(tensor => $"{tensor.Name.Split('.')[^1]} {header.LocationOf(tensor)}").Order());
    }

    private static byte[] At(string key, byte[] location, long offset = 0) => Tensor(
        Reference(Text("storage"), Global("torch", "FloatStorage"), Text(key), location, Whole(2)), offset, [2 - offset], [1]);
}
