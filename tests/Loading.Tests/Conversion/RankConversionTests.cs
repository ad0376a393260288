using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Conversions that write a rank's share of each tensor, and other names.</summary>
public sealed class RankConversionTests : IDisposable
{
    private static readonly LlamaOptions Llama = new() { Layers = 1, Hidden = 64, Intermediate = 96, Heads = 8, KeyValueHeads = 4, Vocabulary = 101, Shards = 2 };

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("m", "out", 4)]
    [InlineData("m", "out.safetensors", 2)]
    [InlineData("m.pt", "out.safetensors", 4)]
    [InlineData("m.npz", "out.pt", 4)]
    public async Task Convert_SharesOfAllRanks_AreTheWhole(string source, string output, int world)
    {
        await WriteAsync(source);
        await using var whole = await Checkpoint.OpenAsync(_folder[source]);
        var shares = await ConvertAsync(whole, output, world, new ConversionOptions { Lanes = 2 });
        foreach (var tensor in whole.Tensors)
        {
            var bytes = await BytesAsync(tensor);
            Assert.Equal(bytes, await JoinAsync(tensor, shares, DimensionOf(tensor.Name)));
        }

        // Two norms and the last one are everywhere; a rank reads nothing but its share.
        const int norms = 3 * 64 * 2;
        Assert.Equal(whole.Tensors.Sum(tensor => tensor.DataByteLength) - norms, shares.Sum(share => share.Result.BytesRead - norms));
        Assert.All(shares, share => Assert.Equal((12, 9, share.Result.BytesRead), (share.Result.Tensors, share.Result.SlicedTensors, share.Result.BytesWritten)));
        await CloseAsync(shares);
    }

    // Rows of three blocks: a half begins or ends in the second, a quarter is within one or two.
    [Theory]
    [InlineData(2, DType.F32)]
    [InlineData(4, DType.F32)]
    [InlineData(3, DType.BF16)]
    [InlineData(8, DType.F32)]
    public async Task Convert_SharesThatCutBlocks_AreDecodedAndJoinToTheWhole(int world, DType dtype)
    {
        var sample = Quantised();
        await using var whole = await sample.OpenAsync();
        // So little staging that a piece begins and ends inside rows.
        var options = new ConversionOptions { DType = dtype, StagingBytes = 64 << 10, Lanes = 1 };
        var shares = await ConvertAsync(whole, "out.safetensors", world, options);
        using var expected = Tensor.FromValues<float>(DType.F32, new Shape(3000, 96), [.. sample.Values("blk.0.ffn_down.weight").SelectMany(row => row)]);
        using var converted = expected.To(dtype);
        Assert.Equal(converted.AsSpan<byte>().ToArray(), await JoinAsync(whole["blk.0.ffn_down.weight"], shares, 1));
        Assert.All(shares, share => Assert.Equal(new Shape(3000, 96 / world), share.Checkpoint["blk.0.ffn_down.weight"].Shape));
        // Of each row the blocks that have the share.
        var blocks = (int rank) => ((((rank + 1) * 96 / world) + 31) / 32) - (rank * 96 / world / 32);
        Assert.All(shares.Select((share, rank) => (share, rank)), entry => Assert.Equal(3000 * 34 * blocks(entry.rank), entry.share.Result.BytesRead));
        await CloseAsync(shares);
    }

    [Fact]
    public async Task Convert_ShareThatCutsBlocksKeptAsStored_IsRefusedAsALoadRefusesIt()
    {
        await using var whole = await Quantised().OpenAsync();
        var error = await Assert.ThrowsAsync<UnsupportedCheckpointException>(
            () => CheckpointConverter.ConvertAsync(whole, _folder["out.gguf"], new ConversionOptions { TensorParallel = new TensorParallel(2, 1) }));
        var load = Assert.Throws<UnsupportedCheckpointException>(
            () => new CheckpointLoader().Plan(whole, new LoadOptions { TensorParallel = new TensorParallel(2, 1) }));
        Assert.Equal(load.Message, error.Message);
        Assert.Equal("blk.0.ffn_down.weight", error.Tensor);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Convert_BlocksThatShareNothing_AreKept()
    {
        await using var whole = await Quantised().OpenAsync();
        var shares = await ConvertAsync(whole, "out.gguf", 3, new ConversionOptions());
        Assert.Equal(await BytesAsync(whole.Tensors[0]), await JoinAsync(whole.Tensors[0], shares, 1));
        Assert.All(shares, share => Assert.Equal(DType.Q8_0, share.Checkpoint.Tensors[0].DType));
        await CloseAsync(shares);
    }

    [Fact]
    public async Task Convert_ValuesOfOtherRanksThatOverflow_AreNotCounted()
    {
        byte[] block = [.. BitConverter.GetBytes((Half)60_000), .. new byte[20], .. Enumerable.Repeat((byte)100, 12)];
        var builder = new GgufBuilder().Add("general.architecture", "llama").Tensor("blk.0.ffn_down.weight", 8, [32, 1], block);
        await using var whole = await Checkpoint.OpenAsync(new MemorySource(builder.ToBytes(), "m.gguf"));
        var shares = await ConvertAsync(whole, "out.safetensors", 2, new ConversionOptions { DType = DType.F16 });
        Assert.Empty(shares[0].Result.Overflows);
        Assert.Equal([new TensorOverflow("blk.0.ffn_down.weight", 12)], shares[1].Result.Overflows.ToArray());
        Assert.Equal(new byte[32], await BytesAsync(shares[0].Checkpoint.Tensors[0]));
        await CloseAsync(shares);
    }

    [Fact]
    public async Task Convert_RanksThatDoNotDivideHeads_NamesTheTensorAndLeavesNothing()
    {
        await WriteAsync("m");
        await using var whole = await Checkpoint.OpenAsync(_folder["m"]);
        var error = await Assert.ThrowsAsync<UnsupportedCheckpointException>(
            () => CheckpointConverter.ConvertAsync(whole, _folder["out"], new ConversionOptions { TensorParallel = new TensorParallel(3, 0) }));
        Assert.Contains("_proj.weight", error.Tensor, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["out"]));
    }

    [Fact]
    public async Task Convert_RankThatIsNot_IsAnArgument()
    {
        await using var whole = await Sample.Make(1, ("t", DType.F32, [2])).OpenAsync();
        var error = await Assert.ThrowsAsync<ArgumentException>(
            () => CheckpointConverter.ConvertAsync(whole, _folder["out"], new ConversionOptions { TensorParallel = new TensorParallel(2, 2) }));
        Assert.Equal("options", error.ParamName);
    }

    [Fact]
    public async Task Convert_OtherNames_AreThoseThatAreWrittenTiedAndSplit()
    {
        var sample = Sample.Make(1, ("net.wo.weight", DType.F32, [4, 6]), ("net.down_proj.weight", DType.F32, [4, 6]), ("drop.me", DType.U8, [3]), ("keep", DType.U8, [2]));
        await using var stored = await sample.OpenAsync();
        var first = stored["net.wo.weight"];
        await using var tied = Checkpoint.OfTensors(
            first.File, [.. stored.Tensors, new TensorInfo("net.twin.weight", first.DType, first.Shape, first.File, first.Offset, first.ByteLength)]);
        var names = new WeightNameMapper([new NameRule("net.", "model."), new NameRule("wo.", "up_proj."), new NameRule("twin.", "gate_proj.")], [new NameRule("drop", null)]);
        var options = new ConversionOptions { Names = names, TensorParallel = new TensorParallel(2, 1) };
        var result = await CheckpointConverter.ConvertAsync(tied, _folder["out.safetensors"], options);
        await using var again = await Checkpoint.OpenAsync(_folder["out.safetensors"]);
        Assert.Equal(["keep", "model.down_proj.weight", "model.gate_proj.weight", "model.up_proj.weight"], again.Tensors.Select(tensor => tensor.Name).Order(StringComparer.Ordinal));
        Assert.Equal((3, 1, 2), (result.Tensors, result.Ties, result.SlicedTensors));
        // Its rows, by the name it has now; what keeps its name is split by columns.
        Assert.Equal(sample.Tensors["net.wo.weight"][48..], await BytesAsync(again["model.gate_proj.weight"]));
        Assert.Equal(new Shape(4, 3), again["model.down_proj.weight"].Shape);
        Assert.Equal(sample.Tensors["keep"], await BytesAsync(again["keep"]));
    }

    [Fact]
    public async Task Convert_TwoNamesThatBecomeOne_NamesBothAndWritesNothing()
    {
        await using var stored = await Sample.Make(1, ("a.w", DType.F32, [2]), ("b.w", DType.F32, [2]), ("c.w", DType.F32, [2])).OpenAsync();
        var options = new ConversionOptions { Names = new WeightNameMapper(prefixes: [new NameRule("b.", "a.")]) };
        var error = await Assert.ThrowsAsync<ModelMismatchException>(() => CheckpointConverter.ConvertAsync(stored, _folder["out"], options));
        Assert.Contains("both 'a.w' and 'b.w' become 'a.w'", error.Message, StringComparison.Ordinal);
        // One of them may be left out by its name in the checkpoint.
        var result = await CheckpointConverter.ConvertAsync(stored, _folder["out"], options with { Choice = new TensorChoice([], ["a*"]) });
        Assert.Equal(2, result.Tensors);
    }

    private static GgufSample Quantised()
    {
        var sample = new GgufSample();
        sample.Builder.Add("general.architecture", "llama").Add("llama.attention.head_count", 8u);
        return sample.Add("blk.0.ffn_down.weight", 8, 3000, 96);
    }

    // As Megatron splits them.
    private static int? DimensionOf(string name) => name switch
    {
        _ when name.Contains("norm", StringComparison.Ordinal) => null,
        _ when name.Contains("o_proj", StringComparison.Ordinal) || name.Contains("down_proj", StringComparison.Ordinal) => 1,
        _ => 0,
    };

    // The shares of the ranks side by side; of what every rank has, one.
    private static async Task<byte[]> JoinAsync(TensorInfo tensor, IReadOnlyList<(Checkpoint Checkpoint, ConversionResult Result)> shares, int? dimension)
    {
        var parts = new List<byte[]>();
        foreach (var (checkpoint, _) in shares)
        {
            parts.Add(await BytesAsync(checkpoint[tensor.Name]));
        }

        if (dimension is null)
        {
            Assert.All(parts, part => Assert.Equal(parts[0], part));
            return parts[0];
        }

        var rows = dimension == 0 ? 1 : (int)tensor.Shape[0];
        return [.. Enumerable.Range(0, rows).SelectMany(row => parts.SelectMany(part => part.AsSpan(row * (part.Length / rows), part.Length / rows).ToArray()))];
    }

    private static async Task<byte[]> BytesAsync(TensorInfo tensor)
    {
        var bytes = new byte[tensor.DataByteLength];
        await tensor.File.Source.ReadExactlyAsync(tensor.DataOffset, bytes);
        return bytes;
    }

    private static async Task CloseAsync(IEnumerable<(Checkpoint Checkpoint, ConversionResult Result)> shares)
    {
        foreach (var (checkpoint, _) in shares)
        {
            await checkpoint.DisposeAsync();
        }
    }

    private async Task<List<(Checkpoint Checkpoint, ConversionResult Result)>> ConvertAsync(Checkpoint whole, string output, int world, ConversionOptions options)
    {
        var shares = new List<(Checkpoint, ConversionResult)>();
        for (var rank = 0; rank < world; rank++)
        {
            var path = _folder[$"{rank}-{output}"];
            var result = await CheckpointConverter.ConvertAsync(whole, path, options with { TensorParallel = new TensorParallel(world, rank) });
            shares.Add((await Checkpoint.OpenAsync(path), result));
        }

        return shares;
    }

    // The configuration says how many heads there are; beside a single file it must lie too.
    private async Task WriteAsync(string name)
    {
        await LlamaSynthesizer.WriteAsync(_folder["m"], Llama);
        if (name == "m")
        {
            return;
        }

        File.Copy(Path.Combine(_folder["m"], "config.json"), _folder["config.json"]);
        await using var checkpoint = await Checkpoint.OpenAsync(_folder["m"]);
        await CheckpointConverter.ConvertAsync(checkpoint, _folder[name]);
    }
}
