using System.Text.Json;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Ties in checkpoints of several files, with an index and without.</summary>
public sealed class TiedTensorsTests : IDisposable
{
    private const string First = "model-00001-of-00002.safetensors";
    private const string Second = "model-00002-of-00002.safetensors";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Open_TiesInTwoShards_AddAliasesInBoth(bool indexed)
    {
        WriteShard(First, """{"x":"a"}""", "a", "b");
        WriteShard(Second, """{"z":"c","y":"c"}""", "c");
        if (indexed)
        {
            // Three tensors of one byte: an alias has none of its own.
            WriteIndex(3, ("a", First), ("b", First), ("c", Second));
        }

        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(
            [("a", First, null), ("x", First, "a"), ("b", First, null), ("c", Second, null), ("y", Second, "c"), ("z", Second, "c")],
            checkpoint.Tensors.Select(tensor => (tensor.Name, tensor.File.Name, tensor.TiedTo)));
        Assert.Empty(checkpoint.Warnings);
        Assert.Equal(3, checkpoint.TensorBytes);
        Assert.Equal(["shard"], checkpoint.Metadata.Keys);
    }

    [Fact]
    public async Task Open_AliasThatTheIndexMapsToItsTargetsShard_IsFine()
    {
        WriteShard(First, """{"x":"a"}""", "a");
        WriteShard(Second, null, "c");
        WriteIndex(2, ("a", First), ("x", First), ("c", Second));
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal("a", checkpoint["x"].TiedTo);
        Assert.Empty(checkpoint.Warnings);
    }

    [Fact]
    public async Task Open_AliasThatTheIndexMapsToAnotherShard_IsMissingThere()
    {
        WriteShard(First, """{"x":"a"}""", "a");
        WriteShard(Second, null, "c");
        WriteIndex(2, ("a", First), ("x", Second), ("c", Second));
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(_folder.Path));
        Assert.Equal((CheckpointErrorCode.ShardTensorMissing, "x"), (exception.Code, exception.Tensor));
    }

    [Fact]
    public async Task Open_TargetThatIsNotInTheIndex_HasNoAlias()
    {
        WriteShard(First, """{"x":"a","y":"b"}""", "a", "b");
        WriteShard(Second, null, "c");
        WriteIndex(2, ("b", First), ("c", Second));
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(["b", "y", "c"], checkpoint.Tensors.Select(tensor => tensor.Name));
        AssertIgnored(checkpoint, First, "x", "no tensor 'a'");
    }

    [Fact]
    public async Task Open_TotalSizeThatCountsAnAlias_IsAWarning()
    {
        WriteShard(First, """{"x":"a"}""", "a");
        WriteShard(Second, null, "c");
        WriteIndex(3, ("a", First), ("c", Second));
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Contains("total_size says 3 bytes, and the tensors have 2", Assert.Single(checkpoint.Warnings).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Open_AliasThatAnotherFileStores_IsTheStoredTensor(bool indexed)
    {
        WriteShard(First, """{"c":"a"}""", "a");
        WriteShard(Second, null, "c");
        if (indexed)
        {
            WriteIndex(2, ("a", First), ("c", Second));
        }

        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(["a", "c"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.Null(checkpoint["c"].TiedTo);
        Assert.Equal(Second, checkpoint["c"].File.Name);
        AssertIgnored(checkpoint, First, "c", $"'{Second}' stores a tensor");
    }

    [Fact]
    public async Task Open_AliasThatIsStoredButNotInTheIndex_IsLeftOutToo()
    {
        WriteShard(First, """{"left":"a"}""", "a");
        WriteShard(Second, null, "c", "left");
        WriteIndex(2, ("a", First), ("c", Second));
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(["a", "c"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.Single(checkpoint.Warnings, warning => warning.Message.Contains("not in the index", StringComparison.Ordinal));
        Assert.Single(checkpoint.Warnings, warning => warning.Message.Contains($"'{Second}' stores a tensor", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Open_TargetInAnotherFile_IsIgnoredAndNamed()
    {
        WriteShard(First, """{"x":"c"}""", "a");
        WriteShard(Second, null, "c");
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(["a", "c"], checkpoint.Tensors.Select(tensor => tensor.Name));
        AssertIgnored(checkpoint, First, "x", $"'c' is in '{Second}'");
    }

    [Fact]
    public async Task Open_AliasThatTwoFilesNameDifferently_IsIgnoredInBoth()
    {
        WriteShard(First, """{"x":"a","y":"a"}""", "a");
        WriteShard(Second, """{"x":"c","z":"c"}""", "c");
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(["a", "y", "c", "z"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.Equal([_folder[First], _folder[Second]], checkpoint.Warnings.Select(warning => warning.File));
        Assert.All(checkpoint.Warnings, warning => Assert.StartsWith("the tie of 'x' is ignored: ", warning.Message, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Open_AliasThatThreeFilesNameDifferently_IsIgnoredInAll()
    {
        foreach (var i in (int[])[1, 2, 3])
        {
            WriteShard($"model-0000{i}-of-00003.safetensors", $$"""{"x":"t{{i}}"}""", $"t{i}");
        }

        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(["t1", "t2", "t3"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.Equal(3, checkpoint.Warnings.Length);
    }

    [Fact]
    public async Task Open_MalformedTiesInOneShard_StayVisibleAndTheOtherShardsAreRead()
    {
        WriteShard(First, "{", "a");
        WriteShard(Second, """{"x":"c"}""", "c");
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(["a", "c", "x"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.Equal("{", checkpoint.Metadata["ties"]);
        Assert.Equal(_folder[First], Assert.Single(checkpoint.Warnings).File);
    }

    private void AssertIgnored(Checkpoint checkpoint, string file, string alias, string reason)
    {
        var warning = Assert.Single(checkpoint.Warnings, warning => warning.Message.StartsWith("the tie of", StringComparison.Ordinal));
        Assert.Equal(_folder[file], warning.File);
        Assert.StartsWith($"the tie of '{alias}' is ignored: ", warning.Message, StringComparison.Ordinal);
        Assert.Contains(reason, warning.Message, StringComparison.Ordinal);
    }

    private void WriteShard(string file, string? ties, params string[] tensors)
    {
        var metadata = new Dictionary<string, string> { ["shard"] = file };
        if (ties is not null)
        {
            metadata["ties"] = ties;
        }

        var builder = new SafetensorsBuilder().AddMetadata(metadata);
        foreach (var tensor in tensors)
        {
            builder.Add(tensor, "U8", [1], [7]);
        }

        _folder.Write(file, builder.ToBytes());
    }

    private void WriteIndex(long totalSize, params (string Tensor, string Shard)[] map) => _folder.Write(
        "model.safetensors.index.json",
        JsonSerializer.Serialize(new Dictionary<string, object>
        {
            ["metadata"] = new Dictionary<string, object> { ["total_size"] = totalSize },
            ["weight_map"] = map.ToDictionary(entry => entry.Tensor, entry => entry.Shard),
        }));
}
