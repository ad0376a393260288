using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class RemoteObjectSourceTests
{
    private const int Length = 6_000_000;

    private static readonly RemoteContent Content = new([], Length, seed: 1);

    [Fact]
    public async Task A_header_that_is_read_in_small_steps_takes_few_requests()
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", new RemoteContent([], 1L << 40, seed: 1));
        await using var source = await OpenAsync(bench);
        var bytes = new byte[Length];

        for (var offset = 0; offset < Length; offset += 3000)
        {
            await source.ReadExactlyAsync(offset, bytes.AsMemory(offset, 3000));
        }

        Assert.Equal(Content.Slice(0, Length), bytes);
        // One opens it; 64, 128, 256 and 512 KiB, and of a MiB as many as are needed.
        Assert.Equal(1 + 4 + 5, bench.Server.Requests.Count);
        Assert.InRange(bench.Traffic.Bytes, Length, Length + (1 << 20));
    }

    [Fact]
    public async Task Reads_here_and_there_fetch_little()
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", Content);
        await using var source = await OpenAsync(bench);
        var bytes = new byte[22];

        foreach (var offset in (long[])[Length - 22, 0, 3_000_000, 3_000_010, 100, Length - 100, Length - 22])
        {
            await source.ReadExactlyAsync(offset, bytes);
            Assert.Equal(Content.Slice(offset, 22), bytes);
        }

        // No byte comes twice: what is before the end ends where the end begins.
        Assert.Equal(
            ["bytes=0-0", "bytes=5999978-5999999", "bytes=0-65535", "bytes=3000000-3065535", "bytes=5999900-5999977"],
            bench.Server.Requests.Select(request => request["Range"]));
    }

    [Fact]
    public async Task Long_reads_go_straight_into_memory()
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", Content);
        await using var source = await OpenAsync(bench);
        var bytes = new byte[4_000_000];

        Assert.Equal(bytes.Length, await source.ReadAsync(1_000_000, bytes));
        Assert.Equal(Content.Slice(1_000_000, bytes.Length), bytes);
        Assert.Equal(bytes.Length, bench.Traffic.Bytes);
        Assert.Equal(2, bench.Server.Requests.Count);
    }

    [Fact]
    public async Task Reads_end_with_the_file()
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", Content);
        await using var source = await OpenAsync(bench);
        var bytes = new byte[1_000_000];

        Assert.Equal(Length, source.Length);
        Assert.Equal(10, await source.ReadAsync(Length - 10, bytes));
        Assert.Equal(0, await source.ReadAsync(Length, bytes));
        Assert.Equal(0, await source.ReadAsync(Length + 5L, bytes));
        Assert.Equal(0, await source.ReadAsync(0, Memory<byte>.Empty));
        Assert.Equal(500_000, await source.ReadAsync(Length - 500_000, bytes));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await source.ReadAsync(-1, bytes));
    }

    [Fact]
    public async Task Readers_of_one_block_share_its_request()
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", Content);
        await using var source = await OpenAsync(bench);

        await Task.WhenAll(Enumerable.Range(0, 20).Select(async i =>
        {
            var bytes = new byte[100];
            await source.ReadExactlyAsync(i * 1000, bytes);
            Assert.Equal(Content.Slice(i * 1000, 100), bytes);
        }));

        // One may come for 1000 before one comes for 0: a block each at most for whoever is nearest the beginning so far.
        Assert.InRange(bench.Server.Requests.Count, 2, 21);
        Assert.InRange(bench.Traffic.Bytes, 20_000, 90_000);
    }

    [Fact]
    public async Task Blocks_that_are_kept_do_not_grow_with_what_is_read()
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", new RemoteContent([], 64 << 20, seed: 1));
        await using var source = await OpenAsync(bench);
        var bytes = new byte[32 << 10];

        for (long offset = 0; offset < 24 << 20; offset += bytes.Length)
        {
            await source.ReadExactlyAsync(offset, bytes);
        }

        // What is kept is seen in what is fetched again; memory is not, as other tests allocate beside this one.
        var requests = bench.Server.Requests.Count;
        await source.ReadExactlyAsync((24 << 20) - bytes.Length, bytes);
        Assert.Equal(requests, bench.Server.Requests.Count);
        await source.ReadExactlyAsync((24 << 20) - (6 << 20), bytes);
        Assert.Equal(requests + 1, bench.Server.Requests.Count);
    }

    [Fact]
    public async Task A_block_that_failed_is_tried_again_by_the_next_reader()
    {
        await using var bench = await HttpBench.StartAsync(HttpBench.Patient with { MaximumRetries = 0 });
        var served = bench.Server.Add("file", Content);
        await using var source = await OpenAsync(bench);
        served.FailFirst(1, new RemoteFault { Status = 500 });
        var bytes = new byte[10];

        await Assert.ThrowsAsync<RemoteException>(async () => await source.ReadAsync(0, bytes));
        await source.ReadExactlyAsync(0, bytes);

        Assert.Equal(Content.Slice(0, 10), bytes);
    }

    [Fact]
    public async Task A_reader_that_is_cancelled_does_not_disturb_another()
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", Content);
        await using var source = await OpenAsync(bench);
        using var cancellation = new CancellationTokenSource();
        var bytes = new byte[10];
        // No turn is free until both wait.
        var turns = await Task.WhenAll(Enumerable.Range(0, bench.Options.Connections).Select(_ => bench.Reading.TakeTurnAsync(CancellationToken.None)));

        var canceled = source.ReadAsync(0, new byte[10], cancellation.Token).AsTask();
        var other = source.ReadAsync(0, bytes).AsTask();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => canceled);
        Assert.All(turns, turn => turn.Dispose());

        Assert.Equal(10, await other);
        Assert.Equal(Content.Slice(0, 10), bytes);
        Assert.Equal(2, bench.Server.Requests.Count);
    }

    [Fact]
    public async Task Disposing_ends_what_is_being_fetched()
    {
        await using var bench = await HttpBench.StartAsync();
        var served = bench.Server.Add("file", Content);
        var source = await OpenAsync(bench);
        served.FailAlways(new RemoteFault { IsSilent = true });
        using var cancellation = new CancellationTokenSource();

        var reading = source.ReadAsync(0, new byte[10], cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
        await source.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30));
        await source.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await source.ReadAsync(0, new byte[10]));
    }

    [Fact]
    public async Task A_source_says_how_it_is_best_read()
    {
        await using var bench = await HttpBench.StartAsync(HttpBench.Patient with { Connections = 7, RangeBytes = 1 << 20 });
        bench.Server.Add("file", Content);
        await using var source = await OpenAsync(bench);

        var remote = Assert.IsType<IRemoteByteSource>(source, exactMatch: false);
        Assert.Equal((7, 1 << 20), (remote.ParallelReads, remote.PreferredReadBytes));
        Assert.False(source.IsSequentialAt(0));
    }

    private static async Task<IByteSource> OpenAsync(HttpBench bench) => RemoteObjectSource.Over(await bench.OpenAsync("file"), bench.Reading);
}
