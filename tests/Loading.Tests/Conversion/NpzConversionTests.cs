using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Conversions to archives of NumPy arrays, read back here and by NumPy.</summary>
public sealed class NpzConversionTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static Task<Checkpoint> OpenAsync(params (string Name, string DType, ulong[] Shape, byte[] Bytes)[] tensors)
    {
        var builder = new SafetensorsBuilder().AddMetadata(new Dictionary<string, string> { ["format"] = "pt" });
        foreach (var (name, dtype, shape, bytes) in tensors)
        {
            builder.Add(name, dtype, shape, bytes);
        }

        return Checkpoint.OpenAsync(new MemorySource(builder.ToBytes(), "model.safetensors"));
    }

    private static byte[] Noise(int length) => [.. Enumerable.Range(0, length).Select(i => (byte)((i * 7) + 3))];

    [Fact]
    public async Task Convert_TypesThatNumpyHasAndLacks_GivesTheSameBytes()
    {
        await using var checkpoint = await OpenAsync(
            ("a.weight", "F32", [3, 4], Noise(48)), ("b.weight", "BF16", [2, 5], Noise(20)), ("c", "F8_E4M3", [7], Noise(7)), ("d", "I64", [], Noise(8)), ("e", "F32", [0, 3], []));
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder["out.npz"], new ConversionOptions { Lanes = 2 });
        Assert.Equal((OutputFormat.Npz, 5, 0), (result.Format, result.Tensors, result.ConvertedTensors));
        Assert.Equal(["format"], result.OmittedMetadata.ToArray());
        await using var again = await Checkpoint.OpenAsync(_folder["out.npz"]);
        Assert.Equal("npz", again.Format);
        Assert.Equal(checkpoint.Tensors.Length, again.Tensors.Length);
        foreach (var tensor in again.Tensors)
        {
            var stored = checkpoint[tensor.Name];
            Assert.Equal((stored.DType, stored.Shape), (tensor.DType, tensor.Shape));
            Assert.Equal(await BytesAsync(stored), await BytesAsync(tensor));
        }

        var loader = new CheckpointLoader();
        await using var model = await loader.LoadAsync(loader.Plan(again));
        Assert.Equal(5, model.Count);
    }

    [PythonNumpyFact]
    public async Task Convert_ToFloat32_IsReadByNumpyAsNumbers()
    {
        byte[] halves = [.. new[] { 1.5f, -2f, 0.25f }.SelectMany(value => BitConverter.GetBytes((ushort)(BitConverter.SingleToUInt32Bits(value) >> 16)))];
        await using var checkpoint = await OpenAsync(("w", "BF16", [3], halves));
        await CheckpointConverter.ConvertAsync(checkpoint, _folder["out.npz"], new ConversionOptions { DType = DType.F32 });
        Assert.Equal("[1.5, -2.0, 0.25]", (await PythonNumpy.RunAsync("print(np.load(sys.argv[1])['w'].tolist())", _folder["out.npz"])).Trim());
    }

    [Fact]
    public async Task Convert_IntoAFolder_WritesShardsThatOpenAsOne()
    {
        await using var checkpoint = await OpenAsync(("a", "F32", [4], Noise(16)), ("b", "BF16", [8], Noise(16)), ("c", "U8", [16], Noise(16)));
        var result = await CheckpointConverter.ConvertAsync(
            checkpoint, _folder["out"], new ConversionOptions { Format = OutputFormat.Npz, MaximumShardBytes = 32 });
        Assert.Equal(["model-00001-of-00002.npz", "model-00002-of-00002.npz"], result.WeightFiles.ToArray());
        Assert.Equal(2, Directory.GetFiles(_folder["out"]).Length);
        await using var again = await Checkpoint.OpenAsync(_folder["out"]);
        Assert.Equal(["a", "b", "c"], again.Tensors.Select(tensor => tensor.Name).Order());
        Assert.All(again.Tensors, tensor => Assert.Equal(checkpoint[tensor.Name].DType, tensor.DType));
    }

    [Fact]
    public async Task Convert_Blocks_AreRefusedWithAdviceToChooseADType()
    {
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(GoldenArchive.Read(GgufManifest.Set, "all-types.gguf"), "all-types.gguf"));
        var exception = await Assert.ThrowsAsync<UnsupportedCheckpointException>(
            () => CheckpointConverter.ConvertAsync(checkpoint, _folder["out.npz"]));
        Assert.Contains("--dtype", exception.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder["out.npz"], new ConversionOptions { DType = DType.BF16 });
        Assert.True(result.ConvertedTensors > 0);
    }

    private static async Task<byte[]> BytesAsync(TensorInfo tensor)
    {
        var bytes = new byte[tensor.ByteLength];
        await tensor.File.Source.ReadExactlyAsync(tensor.Offset, bytes);
        return bytes;
    }
}
