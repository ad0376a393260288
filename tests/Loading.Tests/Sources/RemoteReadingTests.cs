using System.Buffers;
using System.Collections.Concurrent;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class RemoteReadingTests
{
    private const int RangeBytes = 64 << 10;

    private static readonly RemoteOptions Options = HttpBench.Patient with { RangeBytes = RangeBytes, Connections = 4 };

    [Theory]
    [InlineData(0, 1)]
    [InlineData(5, RangeBytes)]
    [InlineData(5, RangeBytes + 1)]
    [InlineData(12_345, 987_654)]
    [InlineData(0, 1_000_000)]
    public async Task Memory_is_filled_in_ranges(long offset, int length)
    {
        var content = new RemoteContent([], 1_000_000, seed: 1);
        await using var bench = await HttpBench.StartAsync(Options);
        bench.Server.Add("file", content);
        var file = await bench.OpenAsync("file");
        var bytes = new byte[length];

        await bench.Reading.ReadAsync(file, offset, bytes, CancellationToken.None);

        Assert.Equal(content.Slice(offset, length), bytes);
        Assert.Equal(1 + ((length + RangeBytes - 1) / RangeBytes), bench.Traffic.Requests);
    }

    [Fact]
    public async Task All_files_together_have_no_more_connections_than_there_are()
    {
        var content = new RemoteContent([], 16 * RangeBytes, seed: 2);
        await using var bench = await HttpBench.StartAsync(Options);
        var (now, most, reached) = (0, 0, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        var served = new RemoteFile(content);
        foreach (var name in (string[])["one", "two"])
        {
            bench.Server.Map(name, async context =>
            {
                if (context.Request.Headers.Range != "bytes=0-0")
                {
                    var running = Interlocked.Increment(ref now);
                    InterlockedMax(ref most, running);
                    if (running == Options.Connections)
                    {
                        reached.TrySetResult();
                    }

                    // Nobody is answered before as many are there as there may be.
                    await reached.Task.WaitAsync(TimeSpan.FromSeconds(30));
                    // Before the answer: its reader may begin the next before this goes on.
                    Interlocked.Decrement(ref now);
                }

                await bench.Server.SendAsync(context, served);
            });
        }

        var (one, two) = (await bench.OpenAsync("one"), await bench.OpenAsync("two"));
        var (first, second) = (new byte[content.Length], new byte[content.Length]);
        await Task.WhenAll(
            bench.Reading.ReadAsync(one, 0, first, CancellationToken.None), bench.Reading.ReadAsync(two, 0, second, CancellationToken.None));

        Assert.Equal(Options.Connections, most);
        Assert.Equal(content.Slice(0, first.Length), first);
        Assert.Equal(first, second);
    }

    [Fact]
    public async Task What_is_cut_goes_on_where_it_was()
    {
        const int length = 1_000_000;
        var content = new RemoteContent([], length, seed: 3);
        await using var bench = await HttpBench.StartAsync(Options with { RangeBytes = 1 << 20, MaximumRetries = 1 });
        var served = bench.Server.Add("file", content);
        var file = await bench.OpenAsync("file");
        // Each brings enough that the next has all its retries.
        served.FailAlways(new RemoteFault { CutAfter = 70_000 });
        var bytes = new byte[length];

        await bench.Reading.ReadAsync(file, 0, bytes, CancellationToken.None);

        Assert.Equal(content.Slice(0, length), bytes);
        Assert.Equal(Enumerable.Range(0, 15).Select(i => $"bytes={i * 70_000}-{length - 1}"), bench.Server.Requests.Skip(1).Select(request => request["Range"]));
        Assert.Equal(length, bench.Traffic.Bytes);
        Assert.Empty(bench.Time.Waits);
    }

    [Fact]
    public async Task What_is_cut_again_and_again_is_given_up_after_the_retries()
    {
        await using var bench = await HttpBench.StartAsync(Options with { MaximumRetries = 3 });
        var served = bench.Server.Add("file", new RemoteContent([], 60_000));
        var file = await bench.OpenAsync("file");
        served.FailAlways(new RemoteFault { CutAfter = 100 });

        var failure = await Assert.ThrowsAsync<RemoteException>(() => bench.Reading.ReadAsync(file, 0, new byte[60_000], CancellationToken.None));

        Assert.Equal(RemoteFailure.Network, failure.Failure);
        Assert.Contains("again and again; 400 of the 60000 bytes from 0 on have come", failure.Message);
        Assert.Equal(["bytes=0-59999", "bytes=100-59999", "bytes=200-59999", "bytes=300-59999"], bench.Server.Requests.Skip(1).Select(request => request["Range"]));
        Assert.Equal(3, bench.Time.Waits.Count);
    }

    [Fact]
    public async Task The_failure_of_one_range_ends_the_others_before_memory_is_given_back()
    {
        await using var bench = await HttpBench.StartAsync(Options);
        var served = bench.Server.Add("file", new RemoteContent([], 16 * RangeBytes));
        var file = await bench.OpenAsync("file");
        served.Faults = request => request == 5 ? new RemoteFault { Status = 404 } : new RemoteFault { StallAfter = 1000 };

        // Those that stall would never end by themselves on this clock.
        var failure = await Assert.ThrowsAsync<RemoteException>(() => bench.Reading.ReadAsync(file, 0, new byte[16 * RangeBytes], CancellationToken.None));

        // The target of no redirect was asked: what is not there is not there.
        Assert.Equal(RemoteFailure.EntryMissing, failure.Failure);
        using var turn = await bench.Reading.TakeTurnAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Reading_can_be_cancelled_and_gives_its_turns_back()
    {
        await using var bench = await HttpBench.StartAsync(Options with { Connections = 1 });
        var served = bench.Server.Add("file", new RemoteContent([], 10_000, seed: 4));
        var file = await bench.OpenAsync("file");
        served.FailFirst(1, new RemoteFault { StallAfter = 10 });
        using var cancellation = new CancellationTokenSource();

        var reading = bench.Reading.ReadAsync(file, 0, new byte[10_000], cancellation.Token);
        var waiting = bench.Reading.ReadAsync(file, 0, new byte[10_000], cancellation.Token);
        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        served.Faults = _ => null;
        var bytes = new byte[10_000];
        await bench.Reading.ReadAsync(file, 0, bytes, CancellationToken.None);
        Assert.Equal(served.Content.Slice(0, 10_000), bytes);
    }

    [Fact]
    public async Task Memory_and_ranges_that_are_2_GiB_together_are_read_whole()
    {
        const int length = int.MaxValue;
        using var reading = new RemoteReading(HttpBench.Patient with { RangeBytes = 1 << 30 }, TimeProvider.System);
        using var memory = new MemoryOfNothing(length);
        var file = new FileOfNothing(length);

        await reading.ReadAsync(file, 0, memory.Memory, CancellationToken.None);

        Assert.Equal([(0L, 1L << 30), (1L << 30, length - (1L << 30))], file.Ranges.Order());
    }

    private static void InterlockedMax(ref int most, int value)
    {
        for (var seen = Volatile.Read(ref most); seen < value;)
        {
            var before = Interlocked.CompareExchange(ref most, value, seen);
            if (before == seen)
            {
                return;
            }

            seen = before;
        }
    }

    // Memory that has a length and nothing else: nobody writes there.
    private sealed class MemoryOfNothing(int length) : MemoryManager<byte>
    {
        public override Memory<byte> Memory => CreateMemory(length);

        public override Span<byte> GetSpan() => throw new NotSupportedException();

        public override MemoryHandle Pin(int elementIndex = 0) => throw new NotSupportedException();

        public override void Unpin() => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
        }
    }

    private sealed class FileOfNothing(long length) : IRemoteObject
    {
        public ConcurrentBag<(long Offset, long Length)> Ranges { get; } = [];

        public string Name => "nothing";

        public long Length => length;

        public bool TakesRanges => true;

        public Task<Stream> OpenRangeAsync(long offset, long length, CancellationToken cancellationToken)
        {
            Ranges.Add((offset, length));
            return Task.FromResult<Stream>(new StreamOfNothing());
        }
    }

    private sealed class StreamOfNothing : MemoryStream
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => new(buffer.Length);
    }
}
