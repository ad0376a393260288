using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>What an opened checkpoint gives: tensors by name, metadata, configuration, ownership of its source.</summary>
public sealed class CheckpointTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Indexer_NameThatIsNotThere_GivesTheNearest()
    {
        var file = new SafetensorsBuilder().Add("model.norm.weight", "U8", [1], [0]).Add("lm_head.weight", "U8", [1], [0]).ToBytes();
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(file));
        var exception = Assert.Throws<TensorNotFoundException>(() => checkpoint["model.norm.weigth"]);
        Assert.Equal("model.norm.weight", exception.Nearest[0]);
        Assert.True(checkpoint.TryGetTensor("lm_head.weight", out _));
        Assert.False(checkpoint.TryGetTensor("nothing", out _));
    }

    [Fact]
    public async Task Metadata_OfSeveralFiles_TakesTheFirstFilesValue()
    {
        _folder.Write("m-1.safetensors", new SafetensorsBuilder().AddMetadata(new Dictionary<string, string> { ["format"] = "pt", ["x"] = "1" }).ToBytes());
        _folder.Write("m-2.safetensors", new SafetensorsBuilder().AddMetadata(new Dictionary<string, string> { ["x"] = "2", ["y"] = "3" }).ToBytes());
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(
            [("format", "pt"), ("x", "1"), ("y", "3")],
            checkpoint.Metadata.OrderBy(pair => pair.Key).Select(pair => (pair.Key, (string)pair.Value)));
    }

    [Fact]
    public async Task Config_BesideTheFile_IsExposed()
    {
        _folder.Write("model.safetensors", SafetensorsBuilder.Tiny());
        _folder.Write(
            "config.json",
            """
            {"architectures":["LlamaForCausalLM"],"model_type":"llama","torch_dtype":"bfloat16","num_hidden_layers":2,"hidden_size":64,
             "num_attention_heads":4,"num_key_value_heads":2,"vocab_size":512,"quantization_config":{"quant_method":"gptq"}}
            """);
        await using var checkpoint = await Checkpoint.OpenAsync(_folder["model.safetensors"]);
        var config = Assert.IsType<ModelConfig>(checkpoint.Config);
        Assert.Equal("LlamaForCausalLM", Assert.Single(config.Architectures));
        Assert.Equal(
            ("llama", "bfloat16", 2L, 64L, 4L, 2L, 512L, "gptq"),
            (config.ModelType!, config.TorchDType!, config.LayerCount!.Value, config.HiddenSize!.Value, config.HeadCount!.Value,
                config.KeyValueHeadCount!.Value, config.VocabularySize!.Value, config.QuantizationMethod!));
    }

    [Theory]
    [InlineData("{")]
    [InlineData("[1]")]
    [InlineData("")]
    [InlineData("""{"model_type":"\ud800"}""")]
    [InlineData("""{"\udc00":1}""")]
    public async Task Config_ThatCannotBeRead_IsAWarning(string text)
    {
        _folder.Write("model.safetensors", SafetensorsBuilder.Tiny());
        _folder.Write("config.json", text);
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Null(checkpoint.Config);
        Assert.Equal(_folder["config.json"], Assert.Single(checkpoint.Warnings).File);
    }

    [Fact]
    public async Task Config_ThatIsNotUtf8_IsAWarning()
    {
        _folder.Write("model.safetensors", SafetensorsBuilder.Tiny());
        _folder.Write("config.json", [.. "{\"model_type\":\""u8, 0xFF, .. "\"}"u8]);
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Null(checkpoint.Config);
        Assert.Single(checkpoint.Warnings);
    }

    [LinuxFact]
    public async Task Config_ThatIsAPipe_IsAWarning()
    {
        _folder.Write("model.safetensors", SafetensorsBuilder.Tiny());
        NamedPipe.Create(_folder["config.json"]);
        // Nobody writes to the pipe; the minute only ends a broken run.
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path).WaitAsync(TimeSpan.FromMinutes(1));
        Assert.Null(checkpoint.Config);
        Assert.Contains("pipe", Assert.Single(checkpoint.Warnings).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Config_AboveTheLimit_IsAWarning()
    {
        _folder.Write("model.safetensors", SafetensorsBuilder.Tiny());
        _folder.Write("config.json", """{"model_type":"llama"}""");
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path, new CheckpointOptions { MaximumIndexBytes = 10 });
        Assert.Null(checkpoint.Config);
        Assert.Contains("MaximumIndexBytes", Assert.Single(checkpoint.Warnings).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Config_WithFieldsOfOtherTypes_LeavesThemNull()
    {
        _folder.Write("model.safetensors", SafetensorsBuilder.Tiny());
        _folder.Write("config.json", """{"architectures":"Llama","model_type":1,"vocab_size":"big","quantization_config":[],"hidden_size":1.5}""");
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        var config = checkpoint.Config!;
        Assert.Empty(config.Architectures);
        Assert.Null(config.ModelType);
        Assert.Null(config.VocabularySize);
        Assert.Null(config.QuantizationMethod);
        Assert.Null(config.HiddenSize);
    }

    [Theory]
    [InlineData(true, 0)]
    [InlineData(false, 1)]
    public async Task Dispose_ClosesTheSourceUnlessItStaysTheCallers(bool leaveOpen, int disposals)
    {
        var source = new RecordingSource(new MemorySource(SafetensorsBuilder.Tiny()));
        var checkpoint = await Checkpoint.OpenAsync(source, leaveOpen: leaveOpen);
        await checkpoint.DisposeAsync();
        Assert.Equal(disposals, source.Disposals);
    }

    [Fact]
    public async Task Verify_ZeroTail_IsAWarningOnly()
    {
        const int size = 2 << 20;
        var path = _folder.Write("model.safetensors", new SafetensorsBuilder().Add("a", "U8", [size], new byte[size]).ToBytes());
        var result = await CheckpointVerifier.VerifyAsync(path);
        Assert.True(result.IsValid);
        Assert.Contains("zeros", Assert.Single(result.Warnings).Message, StringComparison.Ordinal);

        var ended = new byte[size];
        ended[^1] = 1;
        var whole = await CheckpointVerifier.VerifyAsync(
            _folder.Write("whole.safetensors", new SafetensorsBuilder().Add("a", "U8", [size], ended).ToBytes()));
        Assert.Empty(whole.Warnings);
    }

    [Fact]
    public async Task Verify_ArraysLargerThanTheirFile_LooksAtWhatTheFileHasOnly()
    {
        var zeros = NpzOpening.Array("|u1", "(4194304,)", new byte[4 << 20]);
        var path = _folder.Write("z.npz", new ZipBuilder().Add("a.npy", zeros, record => record.Deflate()).ToBytes());
        Assert.InRange(new FileInfo(path).Length, 0, 1 << 20);
        var result = await CheckpointVerifier.VerifyAsync(path);
        Assert.Null(result.Failure);
        Assert.Empty(result.Warnings);

        // Nor do compressed arrays make a few stored bytes many.
        var mixed = _folder.Write(
            "mixed.npz",
            new ZipBuilder().Add("a.npy", zeros, record => record.Deflate()).Add("b", new byte[2 << 20]).ToBytes());
        Assert.Empty((await CheckpointVerifier.VerifyAsync(mixed)).Warnings.Where(warning => warning.Message.Contains("zeros", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Dispose_ArchiveOfCompressedArrays_EndsWhatTheCheckpointMade(bool leaveOpen)
    {
        var bytes = new ZipBuilder().Add("a.npy", NpzOpening.Array("|u1", "(100000,)", new byte[100_000]), record => record.Deflate()).ToBytes();
        var source = new RecordingSource(new MemorySource(bytes, "arrays.npz"));
        var checkpoint = await Checkpoint.OpenAsync(source, leaveOpen: leaveOpen);
        var tensor = Assert.Single(checkpoint.Tensors);
        await tensor.File.Source.ReadExactlyAsync(tensor.Offset, new byte[10]);
        await checkpoint.DisposeAsync();
        Assert.Equal(leaveOpen ? 0 : 1, source.Disposals);
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await tensor.File.Source.ReadExactlyAsync(tensor.Offset, new byte[10]));
    }

    [Fact]
    public async Task Verify_FurtherCheckFails_KeepsTheWarningsBeforeIt()
    {
        var path = _folder.Write("model.safetensors", new SafetensorsBuilder().Add("a", "U8", [2 << 20], new byte[2 << 20]).ToBytes());
        var result = await CheckpointVerifier.VerifyAsync(
            path, inspect: (checkpoint, _) => throw new InvalidCheckpointException(CheckpointErrorCode.ValueNotFinite, checkpoint.Path, "bad"));
        Assert.Equal((false, "ValueNotFinite"), (result.IsValid, result.Code));
        Assert.Contains("zeros", Assert.Single(result.Warnings).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Verify_WhatIsWrong_IsInTheResult()
    {
        var invalid = await CheckpointVerifier.VerifyAsync(_folder.Write("cut.safetensors", SafetensorsBuilder.Tiny().AsSpan(..^1)));
        Assert.Equal((false, "FileTruncated"), (invalid.IsValid, invalid.Code));
        var missing = await CheckpointVerifier.VerifyAsync(_folder["none"]);
        Assert.Equal((false, "Unreadable"), (missing.IsValid, missing.Code));
        Assert.IsType<FileNotFoundException>(missing.Failure);
    }
}
