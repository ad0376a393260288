using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class TensorHasherTests
{
    [Theory]
    [InlineData("alltypes.safetensors")]
    [InlineData("nopad.safetensors")]
    [InlineData("fp8.safetensors")]
    public async Task Stored_hashes_are_those_of_the_expected_values(string file)
    {
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(GoldenArchive.Read(TorchManifest.Set, file)));
        var hashes = (await TensorHasher.HashStoredAsync(checkpoint)).ToDictionary(hash => hash.Tensor.Name);
        foreach (var (name, expected) in TorchManifest.Tensors(file))
        {
            Assert.Equal(Sha256(NpyFile.Golden(TorchManifest.Set, expected.Expected!).Data.Span), hashes[name].Sha256);
        }
    }

    [RealFilesFact]
    public async Task Every_real_tensor_has_the_hash_of_the_manifest()
    {
        using var manifest = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(RepositoryPaths.Real, "manifest.json")));
        var hashed = 0;
        foreach (var file in manifest.RootElement.EnumerateArray().Where(file => file.GetProperty("kind").GetString() == "safetensors"))
        {
            var path = Path.Combine(RepositoryPaths.Real, file.GetProperty("file").GetString()!);
            if (path.EndsWith("weight-inspect/tests/fixtures/tiny.safetensors", StringComparison.Ordinal))
            {
                // Five bytes follow its last tensor, which the reference refuses too.
                var error = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(path));
                Assert.Equal(CheckpointErrorCode.TrailingBytes, error.Code);
                continue;
            }

            await using var checkpoint = await Checkpoint.OpenAsync(path);
            var hashes = await TensorHasher.HashStoredAsync(checkpoint);
            var expected = file.GetProperty("tensors").EnumerateObject().ToDictionary(
                tensor => tensor.Name, tensor => tensor.Value.GetProperty("sha256").GetString()!);
            Assert.Equal(expected.OrderBy(pair => pair.Key), hashes.ToDictionary(hash => hash.Tensor.Name, hash => hash.Sha256).OrderBy(pair => pair.Key));
            hashed += hashes.Length;
        }

        Assert.True(hashed > 200, $"only {hashed} tensors were hashed");
    }

    [Fact]
    public async Task Tensors_longer_than_a_buffer_hash_whole_through_short_reads()
    {
        var sample = Sample.Make(1, ("long", DType.U8, [(3 << 20) + 7]), ("empty", DType.F32, [0]));
        await using var checkpoint = await sample.OpenAsync(inner => new ShortReadSource(inner, 300_001));
        var hashes = await TensorHasher.HashStoredAsync(checkpoint);
        Assert.All(hashes, hash => Assert.Equal(Sha256(sample.Tensors[hash.Tensor.Name]), hash.Sha256));
        Assert.Equal(checkpoint.Tensors, hashes.Select(hash => hash.Tensor));
    }

    [Fact]
    public async Task Value_hashes_are_those_of_the_decoded_floats_on_any_device()
    {
        var sample = Sample.Make(
            2,
            ("half", DType.F16, [1000]),
            ("single", DType.F32, [700_000]),
            ("bytes", DType.U8, [33]),
            ("complex", DType.C64, [5]),
            ("empty", DType.F64, [0]));
        var hashes = new List<string?>();
        foreach (var device in new Device[] { new HostDevice(), new LateDevice() })
        {
            await using var checkpoint = await sample.OpenAsync();
            foreach (var hash in await TensorHasher.HashValuesAsync(checkpoint, device))
            {
                var planned = new PlannedTensor(hash.Tensor, DType.F32, hash.Tensor.Shape);
                Assert.Equal(Sha256(sample.Expected(planned)), hash.Sha256);
                hashes.Add(hash.Sha256);
            }

            Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
        }

        Assert.Equal(hashes[..5], hashes[5..]);
    }

    [Fact]
    public async Task Values_of_small_floats_are_hashed_as_float32()
    {
        var file = new SafetensorsBuilder()
            .Add("e4m3", "F8_E4M3", [3], [0x38, 0xC0, 0x01])
            .Add("e8m0", "F8_E8M0", [2], [0x80, 0x00])
            .Add("f4", "F4", [2, 2], [0x21, 0x8F])
            .Add("f6", "F6_E2M3", [4], [0b1000_0001, 0b0100_0000, 0b1111_1100])
            .ToBytes();
        await using var checkpoint = await Sample.Of(file).OpenAsync();
        var hashes = (await TensorHasher.HashValuesAsync(checkpoint, new HostDevice())).ToDictionary(hash => hash.Tensor.Name, hash => hash.Sha256);
        Assert.Equal(Sha256Of(1f, -2f, 1 / 512f), hashes["e4m3"]);
        Assert.Equal(Sha256Of(2f, MathF.ScaleB(1, -127)), hashes["e8m0"]);
        Assert.Equal(Sha256Of(0.5f, 1f, -6f, -0f), hashes["f4"]);
        Assert.Equal(Sha256Of(0.125f, 0.25f, 0.5f, -7.5f), hashes["f6"]);
    }

    [Fact]
    public async Task A_view_has_the_hash_of_a_copy_of_its_elements()
    {
        var made = ViewSample.Make(5, DType.F32, 40, 50);
        await using var checkpoint = made.Open(
            new ViewShape("all", [40, 50], default, 0), new ViewShape("turned", [50, 40], [1, 50], 0), new ViewShape("row", [50], [1], 100));
        var expected = checkpoint.Tensors.Select(tensor => Convert.ToHexStringLower(SHA256.HashData(made.Bytes(tensor)))).ToArray();
        Assert.Equal(expected, (await TensorHasher.HashStoredAsync(checkpoint)).Select(hash => hash.Sha256));
    }

    [Fact]
    public async Task Names_that_look_like_patterns_are_names()
    {
        string[] names = ["*", "a?", "\\", "a\\*b", "", "any", "ab", "a\\xb", "b*"];
        await using var checkpoint = await Sample.Make(3, names.Select(name => (name, DType.F16, new long[] { 4 }))).OpenAsync();
        var hashes = await TensorHasher.HashValuesAsync(checkpoint, new HostDevice());
        Assert.Equal(names.Order(StringComparer.Ordinal), hashes.Select(hash => hash.Tensor.Name).Order(StringComparer.Ordinal));
        Assert.All(hashes, hash => Assert.NotNull(hash.Sha256));
    }

    [Fact]
    public async Task A_file_that_changes_meanwhile_has_no_hash()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("model.safetensors", Sample.Make(4, ("a", DType.U8, [50])).File);
        var source = new ActingSource(new LocalFileSource(path));
        await using var checkpoint = await Checkpoint.OpenAsync(source);
        source.Arm(1, () => File.SetLastWriteTimeUtc(path, File.GetLastWriteTimeUtc(path).AddSeconds(5)));
        var error = await Assert.ThrowsAsync<InvalidCheckpointException>(() => TensorHasher.HashStoredAsync(checkpoint));
        Assert.Equal(CheckpointErrorCode.FileChanged, error.Code);
    }

    [Fact]
    public async Task Failures_and_cancellation_come_through()
    {
        var sample = Sample.Make(4, ("a", DType.F16, [5000]));
        var cancelled = new CancellationToken(canceled: true);
        await using var failing = await sample.OpenAsync(inner => ThrowingSource.AfterBytes(inner, sample.File.Length - 1));
        await Assert.ThrowsAsync<IOException>(() => TensorHasher.HashStoredAsync(failing));
        await using var cut = await sample.OpenAsync(inner => new CutSource(inner, sample.File.Length - 1));
        await Assert.ThrowsAsync<InvalidCheckpointException>(() => TensorHasher.HashStoredAsync(cut));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => TensorHasher.HashStoredAsync(cut, null, cancelled));
        var device = new HostDevice();
        await Assert.ThrowsAsync<IOException>(() => TensorHasher.HashValuesAsync(failing, device));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => TensorHasher.HashValuesAsync(failing, device, null, cancelled));
        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    private static string Sha256(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    private static string Sha256Of(params float[] values) => Sha256(MemoryMarshal.AsBytes(values.AsSpan()));
}
