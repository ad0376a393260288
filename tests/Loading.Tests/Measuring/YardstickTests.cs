using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

[Collection(Alone.Name)]
public sealed class YardstickTests
{
    private const int FileBytes = (3 << 20) + 5;

    public static TheoryData<int, int, bool> Settings => new()
    {
        { 1, 1 << 20, false },
        { 3, 64 << 10, false },
        { 2, 16 << 20, false },
        { 1, 1 << 20, true },
        { 3, 64 << 10, true },
    };

    [LinuxTheory]
    [MemberData(nameof(Settings))]
    public void Every_byte_of_every_file_is_read_to_its_place(int lanes, int block, bool isDirect)
    {
        using var folder = new TemporaryFolder();
        var random = new Random(7);
        byte[][] contents = [new byte[FileBytes], [], new byte[1], new byte[4096]];
        var paths = contents.Select((content, i) =>
        {
            random.NextBytes(content);
            return folder.Write($"{i}.bin", content);
        }).ToArray();
        using var reads = new ReadYardstick(paths);
        if (isDirect && !reads.HasDirect)
        {
            // A temporary folder in memory has no such reads, and says so.
            Assert.Throws<NotSupportedException>(() => reads.Measure(new ReadSetting(lanes, block, isDirect), CancellationToken.None));
            return;
        }

        Assert.True(reads.Measure(new ReadSetting(lanes, block, isDirect), CancellationToken.None) > 0);
        Assert.Equal((contents.Sum(content => (long)content.Length), false), (reads.TotalBytes, reads.IsBounded));
        var start = 0L;
        foreach (var content in contents)
        {
            Assert.Equal(content, reads.Buffer(start, content.Length).ToArray());
            start += (content.Length + 4095) / 4096 * 4096;
        }
    }

    [LinuxFact]
    public void Reads_past_the_page_cache_that_are_refused_only_when_they_are_made_are_not_to_be_had()
    {
        using var folder = new TemporaryFolder();
        var opened = 0;
        // Opens like any file; nothing is mapped at address 0, so that the first read fails.
        using var reads = new ReadYardstick([folder.Write("a.bin", new byte[100_000])], long.MaxValue, _ =>
        {
            opened++;
            return File.OpenHandle("/proc/self/mem");
        });
        Assert.False(reads.HasDirect);
        Assert.Throws<NotSupportedException>(() => reads.Measure(new ReadSetting(1, 1 << 20, IsDirect: true), CancellationToken.None));
        Assert.Equal(1, opened);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(-5L << 30)]
    public void Memory_to_read_into_is_bounded_however_little_there_is(long most)
    {
        using var folder = new TemporaryFolder();
        var path = folder["a.bin"];
        using (var file = File.Create(path))
        {
            file.SetLength(40 << 20);
        }

        using var yardsticks = new Yardsticks([path], HostDevice.Shared, 1, most, CancellationToken.None);
        Assert.Equal((16L << 20, true), (yardsticks.Reads.BufferBytes, yardsticks.Reads.IsBounded));
        Assert.True(yardsticks.Reads.Measure(new ReadSetting(4, 16 << 20), CancellationToken.None) > 0);
    }

    [Theory]
    [InlineData(1.0, true)]
    [InlineData(null, true)]
    [InlineData(0.3, false)]
    public void Reads_past_the_cache_compete_where_files_do_not_stay_in_it(double? resident, bool areCached)
    {
        using var folder = new TemporaryFolder();
        using var yardsticks = new Yardsticks(
            [folder.Write("a.bin", new byte[100_000])], HostDevice.Shared, 1, long.MaxValue, CancellationToken.None, _ => resident);
        Assert.Equal(areCached, yardsticks.AreFilesCached);
        Assert.Equal(!areCached && yardsticks.Reads.HasDirect, yardsticks.Tried.Any(setting => setting.IsDirect));
        Assert.Contains(yardsticks.Best, yardsticks.Tried);
    }

    [Fact]
    public async Task Limits_of_the_memory_are_measured_however_little_there_is()
    {
        using var folder = new TemporaryFolder();
        using var yardsticks = new Yardsticks([folder.Write("a.bin", new byte[100_000])], HostDevice.Shared, 1, -5L << 30, CancellationToken.None);
        Assert.All(await yardsticks.MeasureAsync(1, CancellationToken.None), row => Assert.True(Assert.Single(row.Values) > 0));
    }

    [Fact]
    public void A_file_that_became_shorter_is_an_error_and_not_an_endless_read()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("a.bin", new byte[100_000]);
        using var reads = new ReadYardstick([path]);
        File.WriteAllBytes(path, new byte[10]);
        Assert.Throws<EndOfStreamException>(() => reads.Measure(new ReadSetting(1, 1 << 20), CancellationToken.None));
    }

    [Fact]
    public void Reads_end_when_they_are_cancelled()
    {
        using var folder = new TemporaryFolder();
        using var reads = new ReadYardstick([folder.Write("a.bin", new byte[100_000])]);
        Assert.Throws<OperationCanceledException>(() => reads.Measure(new ReadSetting(2, 4096), new CancellationToken(canceled: true)));
    }

    [Fact]
    public void The_fastest_setting_is_one_of_those_that_were_tried_and_each_is_tried_after_the_same_preparation()
    {
        using var folder = new TemporaryFolder();
        using var reads = new ReadYardstick([folder.Write("a.bin", new byte[100_000])]);
        var prepared = 0;
        var best = reads.FindBest(ReadSetting.Buffered, 2, CancellationToken.None, () => prepared++);
        Assert.Contains(best, ReadSetting.Buffered);
        Assert.Equal(18, prepared);
    }

    [Fact]
    public void A_failure_of_one_thread_reaches_the_caller_and_ends_the_others()
    {
        var done = 0;
        var exception = Assert.Throws<InvalidDataException>(() => MeasuringThreads.Run(
            2, 1_000_000, piece => _ = piece == 10 ? throw new InvalidDataException() : Interlocked.Increment(ref done), CancellationToken.None));
        Assert.NotNull(exception);
        Assert.InRange(done, 1, 999_998);
    }

    [Fact]
    public void Memory_is_filled_and_copied_to_its_last_piece()
    {
        const int length = (17 << 20) + 64;
        using var from = new YardstickMemory(length);
        using var to = new YardstickMemory(length);
        from.Touch(2, CancellationToken.None);
        Assert.True(MemoryYardsticks.StreamingFill(from, 2, CancellationToken.None) > 0);
        Assert.True(MemoryYardsticks.Copy(from, to, 2, CancellationToken.None) > 0);
        Assert.Equal(from.AsSpan(0, length), to.AsSpan(0, length));
        Assert.Equal(-1, System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(to.AsSpan(0, length)).IndexOfAnyExcept(0.5f));
        Assert.Throws<ArgumentOutOfRangeException>(() => to.AsSpan(length, 1).Length);
    }

    [LinuxFact]
    public void Files_leave_the_page_cache_and_come_back_when_they_are_read()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("a.bin", new byte[8 << 20]);
        Assert.Equal(1, FileResidency.ResidentFraction([path]));
        if (FileResidency.TryDrop([path]) is { } reason)
        {
            // Files in memory cannot leave it.
            Assert.Contains("stay in the page cache", reason, StringComparison.Ordinal);
            return;
        }

        Assert.InRange(FileResidency.ResidentFraction([path])!.Value, 0, 0.01);
        _ = File.ReadAllBytes(path);
        Assert.Equal(1, FileResidency.ResidentFraction([path]));
    }

    [LinuxFact]
    public void A_peak_is_forgotten_and_seen_again()
    {
        Assert.True(PeakMemory.TryReset());
        var before = PeakMemory.Read();
        using (var memory = new YardstickMemory(64 << 20))
        {
            memory.Touch(1, CancellationToken.None);
        }

        Assert.InRange(PeakMemory.Read(), before + (32 << 20), long.MaxValue);
    }
}
