using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Folders of PyTorch and NumPy files: the rules of safetensors folders, and which format is preferred.</summary>
public sealed class TorchFolderTests : IDisposable
{
    private const string Index = "pytorch_model.bin.index.json";
    private const string First = "pytorch_model-00001-of-00002.bin";
    private const string Second = "pytorch_model-00002-of-00002.bin";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("")]
    [InlineData(Index)]
    public async Task Open_ShardsWithAnIndex_AreOneCheckpoint(string name)
    {
        Copy(Index, First, Second);
        await using var checkpoint = await Checkpoint.OpenAsync(_folder[name]);
        Assert.Equal(["h.0.w", "h.1.w", "h.2.w", "h.3.w"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.Equal([First, First, Second, Second], checkpoint.Tensors.Select(tensor => tensor.File.Name));
        Assert.Equal("pytorch", checkpoint.Format);
        Assert.Empty(checkpoint.Warnings);
    }

    [Fact]
    public async Task Open_ShardsWithoutAnIndex_AreOneCheckpoint()
    {
        Copy(First, Second);
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(4, checkpoint.Tensors.Length);
    }

    [Fact]
    public async Task Open_IndexOfAMissingShard_Throws()
    {
        Copy(Index, First);
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(_folder.Path));
        Assert.Equal((CheckpointErrorCode.ShardMissing, "h.2.w"), (exception.Code, exception.Tensor));
    }

    [Fact]
    public async Task Open_IndexThatLeadsOutOfTheFolder_Throws()
    {
        _folder.Write(Index, """{"weight_map":{"a":"../pytorch_model.bin"}}""");
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(_folder.Path));
        Assert.Equal(CheckpointErrorCode.IndexPathUnsafe, exception.Code);
    }

    [Fact]
    public async Task Open_SafetensorsBesidePyTorch_ArePreferredWithAWarning()
    {
        Copy(Index, First, Second);
        _folder.Write("model.safetensors", SafetensorsBuilder.Tiny());
        _folder.Write("a.npy", GoldenArchive.Read(TorchManifest.Set, "npy/u1.npy"));
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(("safetensors", "a"), (checkpoint.Format, Assert.Single(checkpoint.Tensors).Name));
        Assert.Equal(
            [_folder[First], _folder[Second], _folder["a.npy"]],
            checkpoint.Warnings.Select(warning => warning.File));
    }

    [Fact]
    public async Task Open_WhatTrainersLeaveBesideTheWeights_IsNotRead()
    {
        Copy("pytorch_model.bin");
        foreach (var name in (string[])["training_args.bin", "optimizer.pt", "scheduler.pt", "scaler.pt", "global_step10_optimizer.pt", "rng_state.pth", "rng_state_0.pth"])
        {
            _folder.Write(name, "not weights");
        }

        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(3, checkpoint.Tensors.Length);
        Assert.Empty(checkpoint.Warnings);
    }

    [Fact]
    public async Task Open_FolderOfArrays_GivesEachItsFilesName()
    {
        _folder.Write("b.npy", GoldenArchive.Read(TorchManifest.Set, "npy/c_f4.npy"));
        _folder.Write("a.weight.npy", GoldenArchive.Read(TorchManifest.Set, "npy/u1.npy"));
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal([("a.weight", DType.U8), ("b", DType.F32)], checkpoint.Tensors.Select(tensor => (tensor.Name, tensor.DType)));
    }

    [Fact]
    public async Task Open_ZipOfSomethingElse_SaysWhatItHolds()
    {
        using (var stream = File.Create(_folder["model.zip"]))
        using (var zip = new System.IO.Compression.ZipArchive(stream, System.IO.Compression.ZipArchiveMode.Create))
        {
            zip.CreateEntry("word/document.xml");
        }

        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(_folder["model.zip"]));
        Assert.Equal(CheckpointErrorCode.ArchiveInvalid, exception.Code);
        Assert.Contains("'word/document.xml'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_ArchiveWithoutEntries_HasNoTensors()
    {
        // numpy.savez without arrays: the record that ends an archive, and nothing before it.
        _folder.Write("empty.npz", Convert.FromHexString("504B0506" + new string('0', 36)));
        await using var checkpoint = await Checkpoint.OpenAsync(_folder["empty.npz"]);
        Assert.Empty(checkpoint.Tensors);
    }

    private void Copy(params string[] names)
    {
        foreach (var name in names)
        {
            _folder.Write(name, GoldenArchive.Read(TorchManifest.Set, name));
        }
    }
}
