using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Models of several files, and folders of several models (bad input G12 of formats.md section 5).</summary>
public sealed class GgufSplitTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("m-00001-of-00003.gguf")]
    [InlineData("m-00002-of-00003.gguf")]
    [InlineData("m-00003-of-00003.gguf")]
    [InlineData("./m-00002-of-00003.gguf")]
    [InlineData("")]
    public async Task Open_AnyPartOrTheFolder_OpensAll(string given)
    {
        WriteParts();
        await using var checkpoint = await Checkpoint.OpenAsync(Path.Combine(_folder.Path, given));
        Assert.Equal(["m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"], checkpoint.Files.Select(file => file.Name));
        Assert.Equal(["a", "b", "c"], checkpoint.Tensors.Select(tensor => tensor.Name));
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal([(byte)i, 1, 2, 3], await GgufOpening.BytesAsync(checkpoint.Tensors[i]));
            Assert.Same(checkpoint.Files[i], checkpoint.Tensors[i].File);
        }

        // What only another part says is that part's affair.
        Assert.Equal("part 0", checkpoint.Metadata["name"]);
        Assert.Equal((ushort)0, checkpoint.Metadata["split.no"]);
        Assert.DoesNotContain("only.1", checkpoint.Metadata.Keys);
        Assert.Equal("part 1", ((GgufHeader)checkpoint.Files[1].Header!).Metadata["only.1"]);
    }

    [Theory]
    [InlineData("m-00001-of-00003.gguf")]
    [InlineData("")]
    public async Task Open_PartMissing_NamesIt(string given)
    {
        WriteParts();
        File.Delete(_folder["m-00002-of-00003.gguf"]);
        var exception = await RefusedAsync(CheckpointErrorCode.ShardMissing, given);
        Assert.Contains("'m-00002-of-00003.gguf'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_PartUnderAnotherName_SaysHowItMustEnd()
    {
        WriteParts();
        File.Move(_folder["m-00001-of-00003.gguf"], _folder["renamed.gguf"]);
        var exception = await RefusedAsync(CheckpointErrorCode.SplitInvalid, "renamed.gguf");
        Assert.Contains("'-00001-of-00003.gguf'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_PartsWithSwappedNames_AreInvalid()
    {
        WriteParts();
        File.Move(_folder["m-00001-of-00003.gguf"], _folder["x"]);
        File.Move(_folder["m-00002-of-00003.gguf"], _folder["m-00001-of-00003.gguf"]);
        File.Move(_folder["x"], _folder["m-00002-of-00003.gguf"]);
        await RefusedAsync(CheckpointErrorCode.SplitInvalid, "m-00001-of-00003.gguf");
        var exception = await RefusedAsync(CheckpointErrorCode.SplitInvalid, "m-00003-of-00003.gguf");
        Assert.Contains("part 1 of 3, and its header says 2 of 3", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_PartOfAnotherCount_IsInvalid()
    {
        WriteParts();
        WritePart(1, count: 4, name: "m-00002-of-00003.gguf");
        var exception = await RefusedAsync(CheckpointErrorCode.SplitInvalid, "m-00001-of-00003.gguf");
        Assert.Contains("header says 2 of 4", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_PartThatIsNoGguf_IsInvalid()
    {
        WriteParts();
        _folder.Write("m-00002-of-00003.gguf", SafetensorsBuilder.Tiny());
        var exception = await RefusedAsync(CheckpointErrorCode.SplitInvalid, "m-00001-of-00003.gguf");
        Assert.Contains("part 2 of 3 of a GGUF model, and it is a safetensors file", exception.Message, StringComparison.Ordinal);
        // Also where it would come first.
        WriteParts();
        _folder.Write("m-00001-of-00003.gguf", SafetensorsBuilder.Tiny());
        exception = await RefusedAsync(CheckpointErrorCode.SplitInvalid, "m-00003-of-00003.gguf");
        Assert.Contains("part 1 of 3 of a GGUF model, and it is a safetensors file", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_PartFromASource_WarnsThatTheOthersAreMissing()
    {
        WriteParts();
        await using var part = await Checkpoint.OpenAsync(new LocalFileSource(_folder["m-00002-of-00003.gguf"]));
        Assert.Equal("b", Assert.Single(part.Tensors).Name);
        var warning = Assert.Single(part.Warnings);
        Assert.Equal(_folder["m-00002-of-00003.gguf"], warning.File);
        Assert.Contains("part 2 of 3", warning.Message, StringComparison.Ordinal);
        // All of them by their path, and a model of one part, are whole.
        await using var all = await Checkpoint.OpenAsync(_folder["m-00002-of-00003.gguf"]);
        Assert.Empty(all.Warnings);
        await using var only = await Checkpoint.OpenAsync(new MemorySource(
            new GgufBuilder().Add("split.no", (ushort)0).Add("split.count", (ushort)1).ToBytes()));
        Assert.Empty(only.Warnings);
    }

    [Fact]
    public async Task Open_OneTensorInTwoParts_NamesBoth()
    {
        WriteParts();
        WritePart(2, tensor: "a");
        var exception = await RefusedAsync(CheckpointErrorCode.DuplicateTensor, "m-00001-of-00003.gguf");
        Assert.Equal("a", exception.Tensor);
        Assert.Contains("'m-00001-of-00003.gguf'", exception.Message, StringComparison.Ordinal);
        Assert.EndsWith("m-00003-of-00003.gguf", exception.File, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_AnotherNumberOfTensorsThanClaimed_IsInvalid()
    {
        WriteParts(tensors: 4);
        var exception = await RefusedAsync(CheckpointErrorCode.SplitInvalid, "m-00002-of-00003.gguf");
        Assert.Contains("says 4 tensors, and all parts have 3", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(3, 3)]
    [InlineData(7, 3)]
    [InlineData(0, -3)]
    [InlineData(0, 100_000)]
    public async Task Open_NumbersThatCannotBe_AreInvalid(int number, int count)
    {
        _folder.Write("m-00001-of-00003.gguf", new GgufBuilder().Add("split.no", number).Add("split.count", count).ToBytes());
        await RefusedAsync(CheckpointErrorCode.SplitInvalid, "m-00001-of-00003.gguf");
    }

    [Fact]
    public async Task Open_PartWithoutNumbers_IsAWholeModelOnlyWhereItIsAlone()
    {
        _folder.Write("m-00001-of-00002.gguf", GgufBuilder.Tiny().ToBytes());
        await using (var checkpoint = await Checkpoint.OpenAsync(_folder.Path))
        {
            Assert.Single(checkpoint.Tensors);
        }

        _folder.Write("m-00002-of-00002.gguf", GgufBuilder.Tiny().ToBytes());
        var exception = await RefusedAsync(CheckpointErrorCode.SplitInvalid, "");
        Assert.Contains("no split.count", exception.Message, StringComparison.Ordinal);
    }

    [LinuxFact]
    public async Task Open_ThatFails_LeavesNoFileOpen()
    {
        WriteParts(tensors: 4);
        await RefusedAsync(CheckpointErrorCode.SplitInvalid, "");
        WriteParts();
        _folder.Write("m-00002-of-00003.gguf", "GGUF");
        await RefusedAsync(CheckpointErrorCode.HeaderTooSmall, "");
        Assert.Empty(OpenFiles.Below(_folder.Path));
        WriteParts();
        await (await Checkpoint.OpenAsync(_folder.Path)).DisposeAsync();
        Assert.Empty(OpenFiles.Below(_folder.Path));
    }

    [Fact]
    public async Task Open_FolderOfSeveralModels_IsAmbiguousAndListsThem()
    {
        WriteParts();
        _folder.Write("m.Q4_K_M.gguf", GgufBuilder.Tiny().ToBytes());
        _folder.Write("m-Q8_0.gguf", GgufBuilder.Tiny().ToBytes());
        var exception = await RefusedAsync(CheckpointErrorCode.Ambiguous, "");
        Assert.Contains("3 models", exception.Message, StringComparison.Ordinal);
        Assert.Contains("'m-00001-of-00003.gguf'", exception.Message, StringComparison.Ordinal);
        Assert.Contains("'m.Q4_K_M.gguf'", exception.Message, StringComparison.Ordinal);
        foreach (var (variant, file) in new[] { ("q4_k_m", "m.Q4_K_M.gguf"), ("Q8_0", "m-Q8_0.gguf") })
        {
            await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path, new CheckpointOptions { Variant = variant });
            Assert.Equal(file, Assert.Single(checkpoint.Files).Name);
        }

        var none = await Assert.ThrowsAsync<InvalidCheckpointException>(
            () => Checkpoint.OpenAsync(_folder.Path, new CheckpointOptions { Variant = "Q2_K" }));
        Assert.Equal(CheckpointErrorCode.NoWeights, none.Code);
    }

    [Fact]
    public async Task Open_FolderWithAProjector_LeavesItAside()
    {
        _folder.Write("mmproj-model-f16.gguf", GgufBuilder.Tiny().ToBytes());
        await using (var alone = await Checkpoint.OpenAsync(_folder.Path))
        {
            Assert.Empty(alone.Warnings);
        }

        _folder.Write("model.gguf", GgufBuilder.Tiny().ToBytes());
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal("model.gguf", Assert.Single(checkpoint.Files).Name);
        Assert.Contains("mmproj-model-f16.gguf", Assert.Single(checkpoint.Warnings).File, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_FolderOfBothFormats_IsTheSafetensorsOne()
    {
        _folder.Write("model.gguf", GgufBuilder.Tiny().ToBytes());
        _folder.Write("model.safetensors", SafetensorsBuilder.Tiny());
        await using (var checkpoint = await Checkpoint.OpenAsync(_folder.Path))
        {
            Assert.Equal("safetensors", checkpoint.Format);
            AssertLeftAside(checkpoint);
        }

        _folder.Write("model.safetensors.index.json", """{"weight_map":{"a":"model.safetensors"}}""");
        await using var indexed = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal("safetensors", indexed.Format);
        AssertLeftAside(indexed);

        void AssertLeftAside(Checkpoint opened)
        {
            var warning = Assert.Single(opened.Warnings, warning => warning.File == _folder["model.gguf"]);
            Assert.Contains("left aside; open it by its own name", warning.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", CheckpointErrorCode.GitLfsPointer)]
    [InlineData("<!DOCTYPE html><html>", CheckpointErrorCode.HtmlPage)]
    [InlineData("Entry not found", CheckpointErrorCode.UnknownFormat)]
    public async Task Open_SomethingElseUnderTheName_SaysWhatItIs(string content, CheckpointErrorCode code)
    {
        _folder.Write("model.gguf", content);
        await RefusedAsync(code, "model.gguf");
    }

    [Fact]
    public async Task Verify_ZerosAtTheEnd_WarnsOfAnInterruptedDownload()
    {
        var path = _folder.Write("model.gguf", new GgufBuilder().Tensor("a", 24, [3 << 20], new byte[3 << 20]).ToBytes());
        var result = await CheckpointVerifier.VerifyAsync(path);
        Assert.True(result.IsValid);
        Assert.Contains("interrupted download", Assert.Single(result.Warnings).Message, StringComparison.Ordinal);
        _folder.Write("model.gguf", new byte[4096]);
        Assert.Equal("ZeroFilled", (await CheckpointVerifier.VerifyAsync(path)).Code);
    }

    private void WriteParts(int tensors = 3)
    {
        for (var part = 0; part < 3; part++)
        {
            WritePart(part, tensors: tensors);
        }
    }

    private void WritePart(int part, int count = 3, string? tensor = null, string? name = null, int tensors = 3) => _folder.Write(
        name ?? $"m-{part + 1:D5}-of-{count:D5}.gguf",
        new GgufBuilder()
            .Add("split.no", (ushort)part).Add("split.count", (ushort)count).Add("split.tensors.count", tensors)
            .Add("name", $"part {part}").Add($"only.{part}", $"part {part}")
            .Tensor(tensor ?? $"{(char)('a' + part)}", 0, [1], [(byte)part, 1, 2, 3])
            .ToBytes());

    private async Task<InvalidCheckpointException> RefusedAsync(CheckpointErrorCode code, string given)
    {
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(Path.Combine(_folder.Path, given)));
        Assert.Equal(code, exception.Code);
        Assert.StartsWith(_folder.Path, exception.Message, StringComparison.Ordinal);
        return exception;
    }
}
