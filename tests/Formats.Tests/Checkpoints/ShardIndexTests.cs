using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>What an index decides, and what is refused in one (formats.md 1.6, bad input S14).</summary>
public sealed class ShardIndexTests : IDisposable
{
    private const string IndexName = "model.safetensors.index.json";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Open_FolderWithIndex_OpensItsShardsOnly()
    {
        WriteShards();
        _folder.Write("other.safetensors", CheckpointFolderTests.OneTensor("a", 9));
        WriteIndex("""{"weight_map":{"a":"s1.safetensors","b":"s2.safetensors"}}""");
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(["s1.safetensors", "s2.safetensors"], checkpoint.Files.Select(file => file.Name));
        Assert.Equal(["a", "b"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.Empty(checkpoint.Warnings);
    }

    [Fact]
    public async Task Open_PathOfTheIndexItself_OpensTheSame()
    {
        WriteShards();
        WriteIndex("""{"weight_map":{"a":"s1.safetensors","b":"s2.safetensors"}}""");
        await using var checkpoint = await Checkpoint.OpenAsync(_folder[IndexName]);
        Assert.Equal(2, checkpoint.Tensors.Length);
    }

    [Theory]
    [InlineData("s1.safetensors", 1)]
    [InlineData("s2.safetensors", 2)]
    public async Task Open_SameTensorInTwoShards_TakesTheCopyThatTheIndexMaps(string shard, byte expected)
    {
        _folder.Write("s1.safetensors", new SafetensorsBuilder().Add("a", "U8", [1], [1]).Add("x", "U8", [1], [0]).ToBytes());
        _folder.Write("s2.safetensors", new SafetensorsBuilder().Add("a", "U8", [1], [2]).Add("y", "U8", [1], [0]).ToBytes());
        WriteIndex($$$"""{"weight_map":{"a":"{{{shard}}}","x":"s1.safetensors","y":"s2.safetensors"}}""");
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        var value = new byte[1];
        var tensor = checkpoint["a"];
        await tensor.File.Source.ReadExactlyAsync(tensor.Offset, value);
        Assert.Equal(expected, value[0]);
        Assert.Equal(3, checkpoint.Tensors.Length);
    }

    [Fact]
    public async Task Open_TensorsThatTheIndexDoesNotMap_AreLeftOutWithAWarning()
    {
        WriteShards();
        WriteIndex("""{"weight_map":{"a":"s1.safetensors"}}""");
        _folder.Write("s1.safetensors", new SafetensorsBuilder().Add("a", "U8", [1], [1]).Add("extra", "U8", [1], [1]).ToBytes());
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(["a"], checkpoint.Tensors.Select(tensor => tensor.Name));
        var warning = Assert.Single(checkpoint.Warnings);
        Assert.Contains("'extra'", warning.Message, StringComparison.Ordinal);
        Assert.Equal(_folder["s1.safetensors"], warning.File);
    }

    [Fact]
    public async Task Open_WrongTotalSize_IsAWarning()
    {
        WriteShards();
        WriteIndex("""{"metadata":{"total_size":7},"weight_map":{"a":"s1.safetensors","b":"s2.safetensors"}}""");
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Contains("total_size", Assert.Single(checkpoint.Warnings).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../x.safetensors")]
    [InlineData("/etc/x")]
    [InlineData("C:\\\\x")]
    [InlineData("sub/x.safetensors")]
    [InlineData("..")]
    [InlineData(".")]
    [InlineData("")]
    [InlineData("a\\u0000b")]
    public async Task Open_ShardThatIsNotAPlainName_IsRefused(string shard)
    {
        WriteShards();
        WriteIndex($$$"""{"weight_map":{"a":"{{{shard}}}"}}""");
        var exception = await RefusedAsync(CheckpointErrorCode.IndexPathUnsafe);
        Assert.Equal("a", exception.Tensor);
    }

    [Fact]
    public async Task Open_MissingShard_NamesItAndATensor()
    {
        WriteShards();
        WriteIndex("""{"weight_map":{"a":"s1.safetensors","b":"gone.safetensors"}}""");
        var exception = await RefusedAsync(CheckpointErrorCode.ShardMissing);
        Assert.Equal("b", exception.Tensor);
        Assert.Contains("'gone.safetensors'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_TensorMissingInItsShard_NamesBoth()
    {
        WriteShards();
        WriteIndex("""{"weight_map":{"a":"s1.safetensors","b":"s1.safetensors"}}""");
        var exception = await RefusedAsync(CheckpointErrorCode.ShardTensorMissing);
        Assert.Equal("b", exception.Tensor);
        Assert.Contains("'s1.safetensors'", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("""{"weight_map":[]}""")]
    [InlineData("""{"weight_map":{}}""")]
    [InlineData("""{"weight_map":{"a":1}}""")]
    [InlineData("""{"weight_map":{"a":null}}""")]
    [InlineData("""{"weight_map":{"a":"s1.safetensors","a":"s2.safetensors"}}""")]
    [InlineData("""{"weight_map":{"a":"s1.safetensors"},"weight_map":{"b":"s2.safetensors"}}""")]
    [InlineData("""{"weight_map":{"\ud800":"s1.safetensors"}}""")]
    [InlineData("""{"weight_map":{"a":"\ud800"}}""")]
    public async Task Open_IndexThatIsNotWhatItMustBe_IsRefused(string index)
    {
        WriteShards();
        WriteIndex(index);
        await RefusedAsync(CheckpointErrorCode.IndexInvalid);
    }

    [Fact]
    public async Task Open_IndexThatIsNotUtf8_IsRefused()
    {
        WriteShards();
        _folder.Write(IndexName, [(byte)'{', 0xFF, (byte)'}']);
        await RefusedAsync(CheckpointErrorCode.IndexInvalid);
    }

    [Fact]
    public async Task Open_IndexWithAByteOrderMark_IsRead()
    {
        WriteShards();
        _folder.Write(IndexName, [0xEF, 0xBB, 0xBF, .. """{"weight_map":{"a":"s1.safetensors"}}"""u8]);
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(["a"], checkpoint.Tensors.Select(tensor => tensor.Name));
    }

    [Fact]
    public async Task Open_TwoIndexes_AsksWhich()
    {
        WriteShards();
        _folder.Write("x.safetensors.index.json", """{"weight_map":{"a":"s1.safetensors"}}""");
        _folder.Write("y.safetensors.index.json", """{"weight_map":{"b":"s2.safetensors"}}""");
        var exception = await RefusedAsync(CheckpointErrorCode.Ambiguous);
        Assert.Contains("--index", exception.Message, StringComparison.Ordinal);
        Assert.Contains("CheckpointOptions.Index", exception.Message, StringComparison.Ordinal);
        Assert.Contains("'x.safetensors.index.json', 'y.safetensors.index.json'", exception.Message, StringComparison.Ordinal);

        await using var chosen = await Checkpoint.OpenAsync(_folder.Path, new CheckpointOptions { Index = "y.safetensors.index.json" });
        Assert.Equal(["b"], chosen.Tensors.Select(tensor => tensor.Name));
    }

    [Fact]
    public async Task Open_IndexThatIsAskedForAndNotThere_IsNotFound()
    {
        WriteShards();
        await Assert.ThrowsAsync<FileNotFoundException>(
            () => Checkpoint.OpenAsync(_folder.Path, new CheckpointOptions { Index = "none.safetensors.index.json" }));
    }

    [Theory]
    [InlineData("model.safetensors.index.fp16.json")]
    [InlineData("model.fp16.safetensors.index.json")]
    public async Task Open_IndexOfAVariant_IsFoundWithTheVariantOnly(string name)
    {
        WriteShards();
        _folder.Write(name, """{"weight_map":{"b":"s2.safetensors"}}""");
        WriteIndex("""{"weight_map":{"a":"s1.safetensors"}}""");
        await using var plain = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(["a"], plain.Tensors.Select(tensor => tensor.Name));
        await using var variant = await Checkpoint.OpenAsync(_folder.Path, new CheckpointOptions { Variant = "fp16" });
        Assert.Equal(["b"], variant.Tensors.Select(tensor => tensor.Name));
    }

    [Fact]
    public async Task Open_PathOfAVariantsIndex_OpensIt()
    {
        WriteShards();
        _folder.Write("model.safetensors.index.fp16.json", """{"weight_map":{"b":"s2.safetensors"}}""");
        await using var checkpoint = await Checkpoint.OpenAsync(_folder["model.safetensors.index.fp16.json"]);
        Assert.Equal(["b"], checkpoint.Tensors.Select(tensor => tensor.Name));
    }

    [Fact]
    public async Task Open_KeyGivenTwiceWithControlCharacters_CannotWriteToTheTerminal()
    {
        WriteShards();
        WriteIndex("""{"weight_map":{"\u001b[2J":"s1.safetensors","\u001b[2J":"s2.safetensors"}}""");
        var exception = await RefusedAsync(CheckpointErrorCode.IndexInvalid);
        Assert.Contains("[2J", exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', exception.Message);
    }

    [Fact]
    public async Task Open_IndexAboveTheLimit_NamesTheOption()
    {
        WriteShards();
        WriteIndex("""{"weight_map":{"a":"s1.safetensors"}}""");
        var exception = await Assert.ThrowsAsync<CheckpointLimitException>(
            () => Checkpoint.OpenAsync(_folder.Path, new CheckpointOptions { MaximumIndexBytes = 10 }));
        Assert.Equal(10, exception.Maximum);
        Assert.Contains(nameof(CheckpointOptions.MaximumIndexBytes), exception.Message, StringComparison.Ordinal);
    }

    private void WriteShards()
    {
        _folder.Write("s1.safetensors", CheckpointFolderTests.OneTensor("a", 1));
        _folder.Write("s2.safetensors", CheckpointFolderTests.OneTensor("b", 2));
    }

    private void WriteIndex(string json) => _folder.Write(IndexName, json);

    private async Task<InvalidCheckpointException> RefusedAsync(CheckpointErrorCode code)
    {
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(_folder.Path));
        Assert.Equal(code, exception.Code);
        Assert.StartsWith(_folder.Path, exception.Message, StringComparison.Ordinal);
        if (OperatingSystem.IsLinux())
        {
            Assert.Empty(OpenFiles.Below(_folder.Path));
        }

        return exception;
    }
}
