using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Tests;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class ReadModesTests
{
    private static readonly DirectAlignment Alignment = new(512, 512);

    public static TheoryData<FileSystemKind, bool, double?, bool, ReadMode, string> Conditions => new()
    {
        { FileSystemKind.Disk, true, 0.0, true, ReadMode.Direct, "0 % of it is cached" },
        { FileSystemKind.Disk, true, 0.499, true, ReadMode.Direct, "49 % of it is cached" },
        { FileSystemKind.Disk, true, 0.5, true, ReadMode.Buffered, "50 % of it is cached" },
        { FileSystemKind.Disk, true, 1.0, true, ReadMode.Buffered, "100 % of it is cached" },
        { FileSystemKind.Disk, true, 0.899, false, ReadMode.Direct, "89 % of it is cached, and it would not fit into free memory beside the tensors" },
        { FileSystemKind.Disk, true, 0.9, false, ReadMode.Buffered, "90 % of it is cached" },
        { FileSystemKind.Disk, true, null, true, ReadMode.Buffered, "it fits into free memory" },
        { FileSystemKind.Disk, true, null, false, ReadMode.Direct, "it would not fit into free memory beside the tensors" },
        { FileSystemKind.Disk, false, 0.0, false, ReadMode.Buffered, "it cannot be opened for direct reads" },
        { FileSystemKind.Memory, true, 0.0, false, ReadMode.Buffered, "the file is in memory" },
        { FileSystemKind.Remote, true, 0.0, false, ReadMode.Buffered, "the file is not on a disk of this machine" },
        { FileSystemKind.Other, true, 0.0, false, ReadMode.Buffered, "direct reads are not known to help on this file system" },
    };

    [Theory]
    [MemberData(nameof(Conditions))]
    public void A_large_file_is_read_directly_where_its_disk_is_faster_than_the_cache_that_it_is_not_in(
        FileSystemKind fileSystem, bool isDirect, double? resident, bool fits, ReadMode mode, string reason)
    {
        var chosen = ReadModes.Judge(new FileCondition(fileSystem, isDirect ? Alignment : null, resident), fits);
        Assert.Equal(new FileReadMode(mode, reason, mode == ReadMode.Direct ? Alignment : null), chosen);
    }

    [LinuxTheory]
    [InlineData(ReadMode.Auto, ReadMode.Buffered, "little is read")]
    [InlineData(ReadMode.Buffered, ReadMode.Buffered, "asked for")]
    [InlineData(ReadMode.Direct, ReadMode.Direct, "asked for")]
    public async Task A_small_file_is_read_as_it_is_asked_for_else_through_the_cache(ReadMode asked, ReadMode mode, string reason)
    {
        using var folder = new TemporaryFolder();
        var sample = Sample.Make(3, ("t", DType.F32, [100]));
        await using var checkpoint = await Checkpoint.OpenAsync(folder.Write("model.safetensors", sample.File));
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = new HostDevice(), ReadMode = asked });
        var chosen = Assert.Single(plan.FileModes);
        Assert.Equal((mode, reason), (chosen.Mode, chosen.Reason));
        Assert.Equal(mode == ReadMode.Direct, chosen.Alignment is not null);
    }

    [Fact]
    public async Task Bytes_of_no_local_file_go_through_no_direct_read()
    {
        var sample = Sample.Make(3, ("t", DType.F32, [100]), ("empty", DType.F32, [0]));
        await using var checkpoint = await sample.OpenAsync();
        foreach (var asked in new[] { ReadMode.Auto, ReadMode.Direct })
        {
            var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = new HostDevice(), ReadMode = asked });
            Assert.Equal(new FileReadMode(ReadMode.Buffered, "its bytes are not those of a local file"), Assert.Single(plan.FileModes));
        }

        var nothing = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = new HostDevice(), ReadMode = ReadMode.Direct, Include = ["empty"] });
        Assert.Equal("buffered: nothing is read", Assert.Single(nothing.FileModes).ToString());
        var meta = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = new MetaDevice() });
        Assert.Empty(meta.FileModes);
    }

    [LinuxFact]
    public async Task A_file_system_without_direct_reads_is_said_and_read_through_the_cache()
    {
        using var folder = new TemporaryFolder();
        var sample = Sample.Make(3, ("t", DType.F32, [100]));
        var path = folder.Write("model.safetensors", sample.File);
        await using var checkpoint = await Checkpoint.OpenAsync(new LocalFileSource(path, null, new RefusingCalls { RefusesOpening = true }));
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = new HostDevice(), ReadMode = ReadMode.Direct });
        Assert.Equal(new FileReadMode(ReadMode.Buffered, "it cannot be opened for direct reads"), Assert.Single(plan.FileModes));
    }

    [LinuxFact]
    public async Task A_large_file_is_judged_by_what_it_is_like()
    {
        using var folder = new TemporaryFolder();
        var sample = Sample.Make(3, ("t", DType.U8, [ReadModes.SmallPlan]));
        await using var checkpoint = await Checkpoint.OpenAsync(folder.Write("model.safetensors", sample.File));
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = new HostDevice() });
        // It was just written: all of it is cached, or in memory, on whatever file system temporary files are.
        Assert.Equal(ReadMode.Buffered, Assert.Single(plan.FileModes).Mode);
        Assert.NotEqual("little is read", plan.FileModes[0].Reason);
        Assert.Equal(0, plan.Staging.SlotBytes);
    }

    [LinuxTheory]
    [InlineData(64L << 10)]
    [InlineData(1_000_000)]
    [InlineData(4L << 20)]
    [InlineData(40L << 20)]
    [InlineData(LoadOptions.DefaultStagingBytes)]
    public async Task Slots_of_direct_reads_keep_to_the_cap_with_whole_blocks_around_a_run(long cap)
    {
        using var folder = new TemporaryFolder();
        var sample = Sample.Make(3, ("kept", DType.U8, [20 << 20]), ("made", DType.F16, [300_000]));
        await using var checkpoint = await Checkpoint.OpenAsync(folder.Write("model.safetensors", sample.File));
        var options = new LoadOptions { Device = new HostDevice(), ReadMode = ReadMode.Direct, StagingBytes = cap, DType = DType.F32 };
        var plan = new CheckpointLoader().Plan(checkpoint, options);
        Assert.InRange(plan.Staging.Bytes, 1, cap);
        var margin = plan.FileModes[0].Alignment!.Value.Margin;
        // Whole pages more than it is meant to take, for whole blocks at both ends.
        Assert.InRange(plan.Staging.SlotBytes, StagingLayout.SmallestSlot, StagingLayout.DirectSlotBytes + margin + Environment.SystemPageSize);
        Assert.All(plan.Runs.Where(run => !run.IsInPlace), run => Assert.InRange(run.ByteLength, 1, plan.Staging.SlotBytes - margin));
        Assert.Contains(plan.Runs, run => run.IsInPlace);
        // All but the last of a tensor end with a block of the file.
        var inPlace = plan.Runs.Where(run => run.IsInPlace).ToArray();
        Assert.All(inPlace.SkipLast(1), run => Assert.Equal(0, (run.Offset + run.ByteLength) % plan.FileModes[0].Alignment!.Value.Offset));
        Assert.InRange(plan.Staging.Lanes, 1, StagingLayout.DefaultDirectLanes);
    }
}
