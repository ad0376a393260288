using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class LoadFailureTests
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(1);

    // On the host 'large' is read directly and the others through a slot; elsewhere all are staged.
    private static readonly Sample Tensors = Sample.Make(
        5, ("first", DType.F32, [1000]), ("large", DType.F32, [700_000]), ("third", DType.U8, [5000]), ("last", DType.F16, [100]));

    // Lanes read the one kind on their own thread and wait for the other.
    private static readonly Func<IByteSource, IByteSource>[] Kinds = [source => source, source => new SynchronousSource(source)];

    private static long DataBegins => Tensors.File.Length - Tensors.Tensors.Sum(tensor => (long)tensor.Value.Length);

    public static TheoryData<bool, bool> Ways => new() { { true, false }, { false, false }, { true, true }, { false, true } };

    // One lane, so that no other can be the first to fail.
    [Theory]
    [MemberData(nameof(Ways))]
    public async Task A_failing_read_names_tensor_file_and_offset(bool onHost, bool streamed)
    {
        // Within 'large', behind what one direct read takes.
        var bad = DataBegins + 4000 + (2 << 20) + 17;
        foreach (var kind in Kinds)
        {
            await using var checkpoint = await Tensors.OpenAsync(inner => kind(ThrowingSource.AfterBytes(inner, bad)));
            var error = await FailAsync<IOException>(checkpoint, onHost, streamed, lanes: 1);
            Assert.Contains("sample.safetensors", error.Message, StringComparison.Ordinal);
            Assert.Contains("tensor 'large'", error.Message, StringComparison.Ordinal);
            Assert.Contains("at byte ", error.Message, StringComparison.Ordinal);
            Assert.Contains(ThrowingSource.Message, error.Message, StringComparison.Ordinal);
            Assert.IsType<IOException>(error.InnerException);
        }
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task A_file_that_was_cut_names_the_tensor_and_where_it_ends(bool onHost, bool streamed)
    {
        (string Tensor, long End)[] cuts =
        [
            ("large", DataBegins + 4000 + 999_999), ("third", DataBegins + 2_804_000 + 4999), ("last", Tensors.File.Length - 1L),
        ];
        foreach (var (tensor, end) in cuts)
        {
            foreach (var kind in Kinds)
            {
                await using var checkpoint = await Tensors.OpenAsync(inner => kind(new CutSource(inner, end)));
                var error = await FailAsync<InvalidCheckpointException>(checkpoint, onHost, streamed, lanes: 1);
                Assert.Equal(CheckpointErrorCode.FileTruncated, error.Code);
                Assert.Equal((tensor, "sample.safetensors", end, "safetensors"), (error.Tensor, error.File, error.Offset, error.Format));
                Assert.StartsWith($"sample.safetensors: tensor '{tensor}': the file ends here", error.Message, StringComparison.Ordinal);
                Assert.EndsWith($"(at byte {end})", error.Message, StringComparison.Ordinal);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task A_file_that_changes_meanwhile_is_refused(bool onHost, bool streamed)
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("model.safetensors", Tensors.File);
        var source = new ActingSource(new LocalFileSource(path));
        await using var checkpoint = await Checkpoint.OpenAsync(source);
        // The same bytes, written again: what is read may be a mixture.
        source.Arm(1, () => File.SetLastWriteTimeUtc(path, File.GetLastWriteTimeUtc(path).AddSeconds(5)));
        var error = await FailAsync<InvalidCheckpointException>(checkpoint, onHost, streamed);
        Assert.Equal(CheckpointErrorCode.FileChanged, error.Code);
        Assert.Equal(path, error.File);
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task A_cancelled_token_reads_nothing(bool onHost, bool streamed)
    {
        var source = default(RecordingSource);
        await using var checkpoint = await Tensors.OpenAsync(inner => source = new RecordingSource(inner));
        var reads = source!.Reads.Count;
        await FailAsync<OperationCanceledException>(checkpoint, onHost, streamed, cancellationToken: new CancellationToken(canceled: true));
        Assert.Equal(reads, source.Reads.Count);
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Cancelling_ends_each_lane_within_one_read(bool onHost, bool streamed)
    {
        foreach (var atRead in new[] { 1, 2, 3 })
        {
            using var cancellation = new CancellationTokenSource();
            var source = default(ActingSource);
            await using var checkpoint = await Tensors.OpenAsync(inner => source = new ActingSource(inner));
            source!.Arm(atRead, cancellation.Cancel);
            await FailAsync<OperationCanceledException>(checkpoint, onHost, streamed, cancellationToken: cancellation.Token);
            Assert.InRange(source.ReadsAfterwards, 0, 3);
        }
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Cancelling_ends_a_read_that_never_would(bool onHost, bool streamed)
    {
        foreach (var silentFrom in new[] { DataBegins + 1, DataBegins + 2_000_000, Tensors.File.Length - 1L })
        {
            using var cancellation = new CancellationTokenSource();
            var source = default(StallingSource);
            await using var checkpoint = await Tensors.OpenAsync(inner => source = new StallingSource(inner));
            source!.FallSilentFrom(silentFrom);
            var failing = FailAsync<OperationCanceledException>(checkpoint, onHost, streamed, cancellationToken: cancellation.Token);
            await source.Stalled.WaitAsync(Hang);
            await cancellation.CancelAsync();
            await failing;
        }
    }

    [Fact]
    public async Task An_allocation_that_fails_frees_those_before_it()
    {
        for (var failing = 1; failing <= 4; failing++)
        {
            await using var checkpoint = await Tensors.OpenAsync();
            foreach (var streamed in new[] { false, true })
            {
                var device = new LateDevice { FailingAllocation = failing };
                await FailAsync<DeviceMemoryException>(checkpoint, device, streamed, 3, default);
            }
        }
    }

    // The reader may wait for room that only the failed tensor would make.
    [Theory]
    [InlineData(Lateness.Soon)]
    [InlineData(Lateness.WhenWaitedFor)]
    public async Task A_device_that_fails_late_ends_the_load(Lateness lateness)
    {
        await using var checkpoint = await Tensors.OpenAsync();
        foreach (var streamed in new[] { false, true })
        {
            for (var fence = 1; fence <= 6; fence++)
            {
                var device = new LateDevice { FailingFence = fence, Lateness = lateness, SlotBytes = 4000 };
                var error = await FailAsync<InvalidOperationException>(checkpoint, device, streamed, 3, default);
                Assert.Equal("The device was lost.", error.Message);
            }
        }
    }

    [Fact]
    public async Task Progress_that_throws_ends_the_load()
    {
        await using var checkpoint = await Tensors.OpenAsync();
        var loader = new CheckpointLoader();
        foreach (var device in new Device[] { new HostDevice(), new LateDevice() })
        {
            var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, Lanes = 2 });
            var error = await Assert.ThrowsAsync<NotSupportedException>(
                () => loader.LoadAsync(plan, new ThrowingProgress()).WaitAsync(Hang));
            Assert.Equal("no more reports", error.Message);
            Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
        }
    }

    private static Task<TException> FailAsync<TException>(
        Checkpoint checkpoint, bool onHost, bool streamed, int lanes = 3, CancellationToken cancellationToken = default)
        where TException : Exception =>
        FailAsync<TException>(checkpoint, onHost ? new HostDevice() : new LateDevice { SlotBytes = 50_000 }, streamed, lanes, cancellationToken);

    private static async Task<TException> FailAsync<TException>(
        Checkpoint checkpoint, Device device, bool streamed, int lanes, CancellationToken cancellationToken)
        where TException : Exception
    {
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, Lanes = lanes, StreamWindowBytes = 4000 });
        var loading = streamed ? StreamAsync(loader, plan, cancellationToken) : LoadAsync(loader, plan, cancellationToken);
        var error = await Assert.ThrowsAnyAsync<TException>(() => loading.WaitAsync(Hang));
        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
        if (device is LateDevice late)
        {
            Assert.Empty(late.Violations);
            Assert.Equal(0, late.Rented);
        }

        return error;
    }

    private static async Task LoadAsync(CheckpointLoader loader, LoadPlan plan, CancellationToken cancellationToken) =>
        await (await loader.LoadAsync(plan, null, cancellationToken)).DisposeAsync();

    private static async Task StreamAsync(CheckpointLoader loader, LoadPlan plan, CancellationToken cancellationToken)
    {
        await foreach (var (_, tensor) in loader.StreamAsync(plan, null, cancellationToken))
        {
            tensor.Dispose();
        }
    }

    private sealed class ThrowingProgress : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => throw new NotSupportedException("no more reports");
    }
}
