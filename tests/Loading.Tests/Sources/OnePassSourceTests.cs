using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class OnePassSourceTests
{
    [Fact]
    public async Task What_is_read_forward_and_again_comes_in_one_request()
    {
        var content = new RemoteContent([], 5_000_000, seed: 1);
        await using var bench = await StartAsync(content);
        await using var source = await OpenAsync(bench);

        foreach (var (offset, length) in ((long, int)[])[(0, 512), (8, 100_000), (0, 8), (3_000_000, 1_500_000), (100_000, 2_900_000), (4_999_999, 1)])
        {
            var bytes = new byte[length];
            await source.ReadExactlyAsync(offset, bytes);
            Assert.Equal(content.Slice(offset, length), bytes);
        }

        Assert.True(source.IsSequentialAt(0));
        Assert.Equal(0, await source.ReadAsync(source.Length, new byte[1]));
        Assert.Equal(2, bench.Server.Requests.Count);
    }

    [Fact]
    public async Task Lanes_side_by_side_share_the_pass()
    {
        const int part = 300_000;
        var content = new RemoteContent([], 20 * part, seed: 2);
        await using var bench = await StartAsync(content);
        await using var source = await OpenAsync(bench);
        var bytes = new byte[20 * part];

        await Task.WhenAll(Enumerable.Range(0, 20).Reverse().Select(i => source.ReadExactlyAsync(i * part, bytes.AsMemory(i * part, part)).AsTask()));

        Assert.Equal(content.Slice(0, bytes.Length), bytes);
        Assert.Equal(2, bench.Server.Requests.Count);
    }

    [Fact]
    public async Task What_would_need_a_jump_is_refused_with_a_way_out()
    {
        await using var bench = await StartAsync(new RemoteContent([], 1L << 32));
        await using var source = await OpenAsync(bench);

        var failure = await Assert.ThrowsAsync<RemoteException>(async () => await source.ReadAsync((1L << 32) - 22, new byte[22]));

        Assert.Contains("its server gives no ranges", failure.Message);
        Assert.Contains("Download the file first", failure.Message);
        Assert.Single(bench.Server.Requests);
    }

    [Fact]
    public async Task What_was_let_go_is_refused_with_a_way_out()
    {
        const int kept = 2 << 20, length = 6 << 20;
        var content = new RemoteContent([], length, seed: 3);
        await using var bench = await StartAsync(content);
        await using var source = new OnePassSource(await bench.OpenAsync("file"), bench.Reading, "file", kept);
        foreach (var offset in (int[])[0, kept, 2 * kept, length - 10])
        {
            await source.ReadExactlyAsync(offset, new byte[10]);
        }

        // As far back as is kept.
        var bytes = new byte[10];
        await source.ReadExactlyAsync(length - kept, bytes);
        Assert.Equal(content.Slice(length - kept, 10), bytes);
        var failure = await Assert.ThrowsAsync<RemoteException>(async () => await source.ReadAsync(0, new byte[10]));

        Assert.Contains("bytes from 0 on are wanted again", failure.Message);
    }

    [Fact]
    public async Task A_pass_that_is_cut_again_and_again_is_an_error()
    {
        await using var bench = await HttpBench.StartAsync();
        var file = bench.Server.Add("file", new RemoteContent([], 100_000));
        file.FailAlways(new RemoteFault { WithoutRanges = true, CutAfter = 1000 });
        await using var source = await OpenAsync(bench);

        var failure = await Assert.ThrowsAsync<RemoteException>(async () => await source.ReadExactlyAsync(0, new byte[100_000]));

        Assert.Equal(RemoteFailure.Network, failure.Failure);
        Assert.Contains("after 1000 of 100000 bytes, again and again; 1000 of 100000 bytes have come", failure.Message);
        // The probe, the first body and all its retries.
        Assert.Equal(2 + RemoteOptions.DefaultRetries, file.Requests);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(1_500_000)]
    [InlineData(2 << 20)]
    [InlineData(4_999_999)]
    public async Task A_pass_that_is_cut_goes_on_where_it_was(int cutAfter)
    {
        var content = new RemoteContent([], 5_000_000, seed: 4);
        var log = new RecordedLog();
        await using var bench = await HttpBench.StartAsync(HttpBench.Patient with { Logger = log });
        // The probe, then a body that is cut, then one that is cut while what was there is passed over.
        bench.Server.Add("file", content).Faults = request => new RemoteFault { WithoutRanges = true, CutAfter = request switch { 2 => cutAfter, 3 => cutAfter / 2, _ => null } };
        await using var source = await OpenAsync(bench);
        var bytes = new byte[5_000_000];

        await source.ReadExactlyAsync(0, bytes);

        Assert.Equal(content.Slice(0, bytes.Length), bytes);
        Assert.Equal(4, bench.Server.Requests.Count);
        Assert.Contains($"after {cutAfter} of 5000000 bytes; tried again in", log.Text);
    }

    [Fact]
    public async Task A_pass_that_is_cut_does_not_go_on_in_another_content()
    {
        await using var bench = await HttpBench.StartAsync();
        var file = bench.Server.Add("file", new RemoteContent([], 3_000_000, seed: 5));
        file.Faults = request => new RemoteFault { WithoutRanges = true, CutAfter = request == 2 ? 2_000_000 : null, EntityTag = request < 3 ? null : "\"second\"" };
        await using var source = await OpenAsync(bench);

        var failure = await Assert.ThrowsAsync<InvalidCheckpointException>(async () => await source.ReadExactlyAsync(0, new byte[3_000_000]));

        Assert.Equal(CheckpointErrorCode.FileChanged, failure.Code);
    }

    [Fact]
    public async Task A_pass_whose_reader_was_cancelled_goes_on_for_the_next()
    {
        var content = new RemoteContent([], 3_000_000, seed: 6);
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", content).Faults = request => new RemoteFault { WithoutRanges = true, StallAfter = request == 2 ? 1_200_000 : null };
        await using var source = await OpenAsync(bench);
        using var cancellation = new CancellationTokenSource();
        var bytes = new byte[3_000_000];

        await source.ReadExactlyAsync(0, bytes.AsMemory(0, 1_200_000));
        var stalled = source.ReadAsync(1_200_000, bytes.AsMemory(1_200_000, 1), cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => stalled);
        await source.ReadExactlyAsync(0, bytes);

        Assert.Equal(content.Slice(0, bytes.Length), bytes);
    }

    [Fact]
    public async Task More_files_than_there_are_connections_are_open_at_the_same_time()
    {
        const int files = 40, length = 300_000;
        var contents = Enumerable.Range(0, files).Select(i => new RemoteContent([], length, seed: (ulong)i)).ToArray();
        await using var bench = await HttpBench.StartAsync(HttpBench.Patient with { Connections = 1 });
        var sources = new List<IByteSource>();
        foreach (var content in contents)
        {
            var path = $"file{sources.Count}";
            // What no reader wants yet stays in the connection, so that it is still open.
            bench.Server.Add(path, content).FailAlways(new RemoteFault { WithoutRanges = true, StallAfter = 200_000 });
            sources.Add(RemoteObjectSource.Over(await bench.OpenAsync(path), bench.Reading));
        }

        // The headers, one file after the other, then all of them again.
        for (var part = 0; part < 2; part++)
        {
            for (var i = 0; i < files; i++)
            {
                var bytes = new byte[1000];
                await sources[i].ReadExactlyAsync(part * 150_000, bytes);
                Assert.Equal(contents[i].Slice(part * 150_000, 1000), bytes);
            }
        }

        foreach (var source in sources)
        {
            await source.DisposeAsync();
        }
    }

    [Fact]
    public async Task Files_side_by_side_wait_for_bodies_of_others()
    {
        const int files = 30, length = 200_000;
        var contents = Enumerable.Range(0, files).Select(i => new RemoteContent([], length, seed: (ulong)i)).ToArray();
        await using var bench = await HttpBench.StartAsync(HttpBench.Patient with { Connections = 1 });
        await Task.WhenAll(contents.Select(async (content, i) =>
        {
            bench.Server.Add($"file{i}", content).FailAlways(new RemoteFault { WithoutRanges = true });
            await using var source = RemoteObjectSource.Over(await bench.OpenAsync($"file{i}"), bench.Reading);
            var bytes = new byte[length];
            await source.ReadExactlyAsync(0, bytes);
            Assert.Equal(content.Slice(0, length), bytes);
        }));
    }

    [Fact]
    public async Task Who_waits_for_a_turn_can_be_cancelled()
    {
        await using var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", new RemoteContent([], 100_000)).FailAlways(new RemoteFault { WithoutRanges = true, StallAfter = 0 });
        await using var source = await OpenAsync(bench);
        using var cancellation = new CancellationTokenSource();

        var first = source.ReadAsync(0, new byte[10], cancellation.Token).AsTask();
        var second = source.ReadAsync(50, new byte[10], cancellation.Token).AsTask();
        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
    }

    private static async Task<HttpBench> StartAsync(RemoteContent content)
    {
        var bench = await HttpBench.StartAsync();
        bench.Server.Add("file", content).FailAlways(new RemoteFault { WithoutRanges = true });
        return bench;
    }

    private static async Task<IByteSource> OpenAsync(HttpBench bench) => RemoteObjectSource.Over(await bench.OpenAsync("file"), bench.Reading);
}
