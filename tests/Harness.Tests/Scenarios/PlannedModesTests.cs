using IlgpuLoader.Formats;
using IlgpuLoader.Loading;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Harness.Tests;

public sealed class PlannedModesTests
{
    [Fact]
    public async Task A_plan_that_reads_otherwise_than_its_row_says_is_refused_with_file_and_reason()
    {
        using var folder = new TemporaryFolder();
        var path = await TensorFiles.FloatsAsync(new HarnessOptions { DataFolder = folder.Path, Mebibytes = 1 }, ".safetensors", CancellationToken.None);
        await using var checkpoint = await Checkpoint.OpenAsync(path);
        var buffered = MeasuredFile.PlanBuffered(checkpoint, new LoadOptions { ReadMode = ReadMode.Direct });
        Assert.Equal("buffered: asked for", PlannedModes.Describe(buffered));
        Assert.Same(buffered, PlannedModes.Require(buffered, ReadMode.Buffered));
        Assert.Same(buffered, PlannedModes.Require(buffered, ReadMode.Auto));
        var exception = Assert.Throws<InvalidOperationException>(() => PlannedModes.Require(buffered, ReadMode.Direct));
        Assert.Equal($"What is measured claims direct reads, but {checkpoint.Files[0].Path} is planned as buffered: asked for.", exception.Message);
    }

    [Fact]
    public async Task A_mapped_plan_of_tensors_that_are_copied_is_no_cold_one()
    {
        using var folder = new TemporaryFolder();
        var path = await TensorFiles.FloatsAsync(new HarnessOptions { DataFolder = folder.Path, Mebibytes = 1 }, ".safetensors", CancellationToken.None);
        await using var checkpoint = await Checkpoint.OpenAsync(path);
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { ReadMode = ReadMode.Mapped, DType = DType.BF16 });
        Assert.Same(plan, PlannedModes.Require(plan, ReadMode.Mapped));
        Assert.Throws<InvalidOperationException>(() => PlannedModes.Require(plan, ReadMode.Auto));
    }
}
