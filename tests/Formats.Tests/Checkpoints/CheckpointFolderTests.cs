using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Which files of a folder are the checkpoint.</summary>
public sealed class CheckpointFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Open_FolderWithOneFile_OpensIt()
    {
        _folder.Write("model.safetensors", OneTensor("a", 1));
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal("safetensors", checkpoint.Format);
        Assert.Equal(["a"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.Equal(_folder.Path, checkpoint.Path);
        Assert.Null(checkpoint.Config);
    }

    [Fact]
    public async Task Open_ShardsWithoutIndex_ComeInNaturalOrder()
    {
        foreach (var i in new[] { 10, 2, 1 })
        {
            _folder.Write($"model-{i}-of-10.safetensors", OneTensor($"t{i}", (byte)i));
        }

        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(["t1", "t2", "t10"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.Equal(["model-1-of-10.safetensors", "model-2-of-10.safetensors", "model-10-of-10.safetensors"], checkpoint.Files.Select(file => file.Name));
    }

    [Fact]
    public async Task Open_SameTensorInTwoFilesWithoutIndex_NamesBoth()
    {
        _folder.Write("one.safetensors", OneTensor("a", 1));
        _folder.Write("two.safetensors", OneTensor("a", 2));
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(_folder.Path));
        Assert.Equal(CheckpointErrorCode.DuplicateTensor, exception.Code);
        Assert.Equal("a", exception.Tensor);
        Assert.Contains("'one.safetensors'", exception.Message, StringComparison.Ordinal);
        Assert.Contains("'two.safetensors'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_ConsolidatedBesideShards_IsLeftAsideWithAWarning()
    {
        _folder.Write("model.safetensors", OneTensor("a", 1));
        _folder.Write("consolidated.safetensors", OneTensor("a", 2));
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(["model.safetensors"], checkpoint.Files.Select(file => file.Name));
        Assert.Contains("consolidated.safetensors", Assert.Single(checkpoint.Warnings).File, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_ConsolidatedAlone_Counts()
    {
        _folder.Write("consolidated-00001-of-00002.safetensors", OneTensor("a", 1));
        _folder.Write("consolidated-00002-of-00002.safetensors", OneTensor("b", 2));
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(2, checkpoint.Files.Length);
        Assert.Empty(checkpoint.Warnings);
    }

    [Fact]
    public async Task Open_VariantBesideTheModel_IsLeftAsideUnlessItIsAskedFor()
    {
        _folder.Write("model.safetensors", OneTensor("a", 1));
        _folder.Write("model.fp16.safetensors", OneTensor("a", 2));
        await using (var checkpoint = await Checkpoint.OpenAsync(_folder.Path))
        {
            Assert.Equal(["model.safetensors"], checkpoint.Files.Select(file => file.Name));
            Assert.Contains("--variant", Assert.Single(checkpoint.Warnings).Message, StringComparison.Ordinal);
        }

        await using var variant = await Checkpoint.OpenAsync(_folder.Path, new CheckpointOptions { Variant = "fp16" });
        Assert.Equal(["model.fp16.safetensors"], variant.Files.Select(file => file.Name));
    }

    [Fact]
    public async Task Open_VersionInAName_IsNoVariant()
    {
        _folder.Write("model-v1.safetensors", OneTensor("a", 1));
        _folder.Write("model-v1.5.safetensors", OneTensor("b", 2));
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(2, checkpoint.Files.Length);
        Assert.Empty(checkpoint.Warnings);
    }

    [Theory]
    [InlineData("model.fp16-00001-of-00002.safetensors", "model.fp16-00002-of-00002.safetensors")]
    [InlineData("model-00001-of-00002.fp16.safetensors", "model-00002-of-00002.fp16.safetensors")]
    public async Task Open_ShardsOfAVariant_AreFoundInBothSpellings(string first, string second)
    {
        _folder.Write("model.safetensors", OneTensor("a", 9));
        _folder.Write(first, OneTensor("a", 1));
        _folder.Write(second, OneTensor("b", 2));
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path, new CheckpointOptions { Variant = "fp16" });
        Assert.Equal([first, second], checkpoint.Files.Select(file => file.Name));
    }

    [Theory]
    [InlineData("model-00003-of-00003.safetensors", "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors")]
    [InlineData("model-000000-of-000002.safetensors", "model-000001-of-000002.safetensors")]
    [InlineData("model-00001-of-00002.fp16.safetensors", "model-00002-of-00002.fp16.safetensors")]
    [InlineData("pytorch_model.fp16-00002-of-00002.safetensors", "pytorch_model.fp16-00001-of-00002.safetensors")]
    public async Task Open_ShardsWithoutAnIndexOfWhichOneIsMissing_IsRefused(string missing, params string[] others)
    {
        for (var i = 0; i < others.Length; i++)
        {
            _folder.Write(others[i], OneTensor($"t{i}", 1));
        }

        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(_folder.Path));
        Assert.Equal(CheckpointErrorCode.ShardMissing, exception.Code);
        // The first that is missing, counted from 1 unless there is a 0.
        var named = missing.Contains("000000", StringComparison.Ordinal) ? "model-000002-of-000002.safetensors" : missing;
        Assert.Contains($"'{named}'", exception.Message, StringComparison.Ordinal);
        await using (var one = await Checkpoint.OpenAsync(_folder[others[0]]))
        {
            Assert.Equal("t0", Assert.Single(one.Tensors).Name);
        }

        _folder.Write(missing, OneTensor("m", 2));
        await using var whole = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(others.Length + 1, whole.Files.Length);
    }

    [Fact]
    public async Task Open_VariantThatIsNotThere_SaysWhatThereIs()
    {
        _folder.Write("model.safetensors", OneTensor("a", 1));
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(
            () => Checkpoint.OpenAsync(_folder.Path, new CheckpointOptions { Variant = "fp8" }));
        Assert.Equal(CheckpointErrorCode.NoWeights, exception.Code);
        Assert.Contains("'fp8'", exception.Message, StringComparison.Ordinal);
        Assert.Contains("'model.safetensors'", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("training_args.bin")]
    [InlineData("optimizer.bin")]
    [InlineData("optimizer.pt")]
    [InlineData("scheduler.pt")]
    [InlineData("scaler.pt")]
    public async Task Open_OnlyWhatTrainersLeave_IsNoCheckpoint(string name)
    {
        _folder.Write(name, OneTensor("a", 1));
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(_folder.Path));
        Assert.Equal(CheckpointErrorCode.NoWeights, exception.Code);
        Assert.DoesNotContain(name, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_FolderWithOtherWeights_NamesThem()
    {
        _folder.Write("model.onnx", "x");
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(_folder.Path));
        Assert.Equal(CheckpointErrorCode.NoWeights, exception.Code);
        Assert.Contains("'model.onnx'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_EmptyFolder_SaysSo()
    {
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(_folder.Path));
        Assert.Equal(CheckpointErrorCode.NoWeights, exception.Code);
        Assert.StartsWith(_folder.Path + ": there are no .safetensors, .gguf, .bin, .pt, .pth, .ckpt, .npy or .npz files of weights here", exception.Message, StringComparison.Ordinal);
    }

    [LinuxFact]
    public async Task Open_SymbolicLinksAsInAHubCache_AreFollowed()
    {
        // blobs/<etag>, snapshots/<commit>/<name> -> ../../blobs/<etag>
        _folder.Write("blobs/0a1b", OneTensor("a", 1));
        _folder.Write("blobs/0c2d", "{\"model_type\":\"llama\"}");
        Directory.CreateDirectory(_folder["snapshots/main"]);
        File.CreateSymbolicLink(_folder["snapshots/main/model.safetensors"], "../../blobs/0a1b");
        File.CreateSymbolicLink(_folder["snapshots/main/config.json"], "../../blobs/0c2d");
        await using var checkpoint = await Checkpoint.OpenAsync(_folder["snapshots/main"]);
        Assert.Equal(["a"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.Equal("llama", checkpoint.Config?.ModelType);
    }

    [LinuxFact]
    public async Task Open_DanglingLink_IsNotFound()
    {
        File.CreateSymbolicLink(_folder["model.safetensors"], "nowhere");
        await Assert.ThrowsAsync<FileNotFoundException>(() => Checkpoint.OpenAsync(_folder["model.safetensors"]));
    }

    [LinuxFact]
    public async Task Open_ThousandShards_KeepsFewFilesOpen()
    {
        const int shards = 1000;
        for (var i = 0; i < shards; i++)
        {
            _folder.Write($"model-{i:D5}-of-{shards:D5}.safetensors", OneTensor($"t{i}", (byte)i));
        }

        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path, new CheckpointOptions { MaximumOpenFiles = 16 });
        Assert.Equal(shards, checkpoint.Tensors.Length);
        Assert.InRange(OpenFiles.Below(_folder.Path).Count, 0, 16 + Environment.ProcessorCount);

        // Every file can still be read, also those that were closed meanwhile.
        var value = new byte[4];
        foreach (var tensor in checkpoint.Tensors)
        {
            await tensor.File.Source.ReadExactlyAsync(tensor.Offset, value);
            Assert.Equal(byte.CreateTruncating(int.Parse(tensor.Name.AsSpan(1), null)), value[0]);
        }

        Assert.InRange(OpenFiles.Below(_folder.Path).Count, 1, 16 + Environment.ProcessorCount);
    }

    [LinuxFact]
    public async Task Dispose_ClosesEveryFile()
    {
        for (var i = 0; i < 5; i++)
        {
            _folder.Write($"model-{i}.safetensors", OneTensor($"t{i}", 1));
        }

        var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(5, OpenFiles.Below(_folder.Path).Count);
        await checkpoint.DisposeAsync();
        Assert.Empty(OpenFiles.Below(_folder.Path));
    }

    [LinuxFact]
    public async Task Open_OneBrokenShardAmongMany_ClosesTheOthers()
    {
        for (var i = 0; i < 20; i++)
        {
            _folder.Write($"model-{i}.safetensors", OneTensor($"t{i}", 1));
        }

        _folder.Write("model-7.safetensors", SafetensorsBuilder.File("{"));
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(_folder.Path));
        Assert.Equal(_folder["model-7.safetensors"], exception.File);
        Assert.Empty(OpenFiles.Below(_folder.Path));
    }

    [Fact]
    public async Task Open_Cancelled_Throws()
    {
        _folder.Write("model.safetensors", OneTensor("a", 1));
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Checkpoint.OpenAsync(_folder.Path, null, cancelled.Token));
    }

    [LinuxFact]
    public async Task Open_FileWithAHostileName_CannotWriteToTheTerminal()
    {
        // A repository that was cloned brings its file names with it.
        const string name = "\u001b[2Jmodel.safetensors";
        _folder.Write(name, SafetensorsBuilder.File("{"));
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(_folder.Path));
        Assert.Equal(_folder[name], exception.File);
        Assert.DoesNotContain('\u001b', exception.Message);
        Assert.Contains("\\u001b[2Jmodel.safetensors: ", exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', new CheckpointWarning(_folder[name], "odd").ToString());
    }

    [Fact]
    public async Task Open_HiddenFiles_AreNotWeights()
    {
        _folder.Write("model.safetensors", OneTensor("a", 1));
        // macOS keeps these beside files on foreign disks; the other is what a download has not finished.
        _folder.Write("._model.safetensors", "Mac OS X");
        _folder.Write(".model-2.safetensors", OneTensor("b", 1).AsSpan(..^1));
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(["model.safetensors"], checkpoint.Files.Select(file => file.Name));
    }

    [Fact]
    public async Task Open_ConsolidatedShardsWithTheirOwnIndexBesideTheModels_AreLeftAside()
    {
        // As Mistral publishes its large models.
        _folder.Write("model-00001-of-00001.safetensors", OneTensor("model.a", 1));
        _folder.Write("model.safetensors.index.json", """{"weight_map":{"model.a":"model-00001-of-00001.safetensors"}}""");
        _folder.Write("consolidated-00001-of-00001.safetensors", OneTensor("a", 1));
        _folder.Write("consolidated.safetensors.index.json", """{"weight_map":{"a":"consolidated-00001-of-00001.safetensors"}}""");
        await using (var checkpoint = await Checkpoint.OpenAsync(_folder.Path))
        {
            Assert.Equal(["model.a"], checkpoint.Tensors.Select(tensor => tensor.Name));
        }

        await using (var asked = await Checkpoint.OpenAsync(
            _folder.Path, new CheckpointOptions { Index = "consolidated.safetensors.index.json" }))
        {
            Assert.Equal(["a"], asked.Tensors.Select(tensor => tensor.Name));
        }

        File.Delete(_folder["model.safetensors.index.json"]);
        await using var alone = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(["a"], alone.Tensors.Select(tensor => tensor.Name));
    }

    [Fact]
    public async Task Open_ShardReplacedWhileTheLimitHadClosedIt_IsRefusedOnRead()
    {
        for (var i = 0; i < 4; i++)
        {
            _folder.Write($"model-{i}.safetensors", OneTensor($"t{i}", (byte)i));
        }

        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path, new CheckpointOptions { MaximumOpenFiles = 1 });
        foreach (var file in checkpoint.Files)
        {
            _folder.Write("new", OneTensor(file.Name, 99));
            File.SetLastWriteTimeUtc(_folder["new"], new DateTime(2001, 2, 3, 0, 0, 0, DateTimeKind.Utc));
            File.Move(_folder["new"], file.Path, overwrite: true);
        }

        // At most the files that were being opened at the same time are still the old ones; none gives a new byte.
        var refused = 0;
        var value = new byte[1];
        foreach (var tensor in checkpoint.Tensors)
        {
            try
            {
                await tensor.File.Source.ReadExactlyAsync(tensor.Offset, value);
                Assert.NotEqual(99, value[0]);
            }
            catch (InvalidCheckpointException exception)
            {
                Assert.Equal(CheckpointErrorCode.FileChanged, exception.Code);
                Assert.Equal(tensor.File.Path, exception.File);
                refused++;
            }
        }

        Assert.InRange(refused, 1, 4);
    }

    internal static byte[] OneTensor(string name, byte value) => new SafetensorsBuilder().Add(name, "U8", [4], [value, 0, 0, 0]).ToBytes();
}
