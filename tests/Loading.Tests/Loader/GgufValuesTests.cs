using System.Security.Cryptography;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Every tensor of every golden GGUF file, loaded as a user loads it, against the values that ggml gives.</summary>
public sealed class GgufValuesTests
{
    private const string Set = GgufManifest.Set;

    public static TheoryData<string> Files() =>
        [.. GoldenArchive.Names(Set).Where(name => name.EndsWith(".gguf", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Files))]
    public async Task Every_tensor_has_the_values_of_ggml(string name)
    {
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(GoldenArchive.Read(Set, name)));
        var expected = GgufManifest.File(name).Tensors;
        Assert.Equal(expected.Keys.Order(StringComparer.Ordinal), checkpoint.Tensors.Select(tensor => tensor.Name).Order(StringComparer.Ordinal));
        var device = new HostDevice();
        var loader = new CheckpointLoader();
        await using (var stored = await loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = device })))
        await using (var singles = await loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = device, DType = DType.F32 })))
        {
            foreach (var tensor in checkpoint.Tensors)
            {
                // F64 and integers have their own type there, all others float32.
                var values = NpyFile.Golden(Set, expected[tensor.Name].Expected);
                var loaded = values.Descriptor == "<f4" ? singles[tensor.Name] : stored[tensor.Name];
                Assert.Equal(values.Shape, loaded.Shape);
                Assert.True(values.Data.Span.SequenceEqual(loaded.AsSpan<byte>()), tensor.Name);
            }
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Theory]
    [MemberData(nameof(Files))]
    public async Task The_hash_of_values_is_that_of_the_values_of_ggml(string name)
    {
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(GoldenArchive.Read(Set, name)));
        var expected = GgufManifest.File(name).Tensors;
        foreach (var hash in await TensorHasher.HashValuesAsync(checkpoint, HostDevice.Shared))
        {
            var values = NpyFile.Golden(Set, expected[hash.Tensor.Name].Expected);
            if (values.Descriptor == "<f4")
            {
                Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(values.Data.Span)), hash.Sha256);
            }
        }
    }
}
