using System.Buffers.Binary;
using System.Security.Cryptography;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class DownloadEngineTests : IDisposable
{
    private const int Range = 64 << 10;
    private static readonly RemoteContent Content = new([1, 2, 3], 1_000_000, seed: 5);
    private static readonly string Hash = Convert.ToHexStringLower(SHA256.HashData(All(Content)));

    private readonly TemporaryFolder _folder = new();
    private readonly DownloadTally _tally = new(null, TimeProvider.System);

    private string File => _folder["blob"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Fetch_SeveralRanges_AreFetchedOnceAndAreTheFile()
    {
        var source = new PieceObject(Content);
        await FetchAsync(source);
        AssertWhole();
        Assert.Equal(Content.Length, source.Given);
        Assert.Equal(16, source.Asked.Count);
        Assert.Equal(Content.Length, _tally.Now.FetchedBytes);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(Range)]
    [InlineData(Range + 1)]
    public async Task Fetch_AnyLength_IsWhole(int length)
    {
        var content = new RemoteContent([], length, seed: 3);
        await FetchAsync(new PieceObject(content), Convert.ToHexStringLower(SHA256.HashData(All(content))));
        Assert.Equal(All(content), System.IO.File.ReadAllBytes(File));
        Assert.Single(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Fetch_GitHash_IsThatOfTheBlob()
    {
        // printf 'blob 4\0same' | sha1sum
        await FetchAsync(new PieceObject(new RemoteContent("same"u8.ToArray())), "5a66c000ab56fb7018b5ec24cdb24c94c00e2142");
        Assert.Equal("same", System.IO.File.ReadAllText(File));
    }

    [Fact]
    public async Task Fetch_CutBodies_GoOnWhereTheyWere()
    {
        var source = new PieceObject(Content) { Cut = request => request % 2 == 1 ? 65_000 : null };
        await FetchAsync(source);
        AssertWhole();
        Assert.Equal(Content.Length, source.Given);
    }

    [Fact]
    public async Task Fetch_CutAgainAndAgainWithNothing_Ends()
    {
        var source = new PieceObject(Content) { Cut = _ => 0 };
        var exception = await Assert.ThrowsAsync<RemoteException>(() => FetchAsync(source, options: new RemoteOptions { RangeBytes = Range, Connections = 1, MaximumRetries = 2 }));
        Assert.Equal(RemoteFailure.Network, exception.Failure);
        Assert.Equal(3, source.Asked.Count);
    }

    [Fact]
    public async Task Fetch_AfterACancelledOne_FetchesOnlyWhatIsMissing()
    {
        using var cancellation = new CancellationTokenSource();
        var first = new PieceObject(Content) { Before = (given, _) => given > 400_000 ? cancellation.CancelAsync() : Task.CompletedTask };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => FetchAsync(first, cancellationToken: cancellation.Token));
        Assert.False(System.IO.File.Exists(File));
        var second = new PieceObject(Content);
        await FetchAsync(second);
        AssertWhole();
        Assert.Equal(Content.Length, first.Given + second.Given);
    }

    [Fact]
    public async Task Fetch_Cancelled_EndsThoughTheServerSaysNothing()
    {
        using var cancellation = new CancellationTokenSource();
        var waiting = new TaskCompletionSource();
        var source = new PieceObject(Content)
        {
            Before = (_, token) =>
            {
                waiting.TrySetResult();
                return Task.Delay(Timeout.Infinite, token);
            },
        };
        var fetching = FetchAsync(source, cancellationToken: cancellation.Token);
        await waiting.Task;
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => fetching);
    }

    [Fact]
    public async Task Fetch_BeginningOfAnotherProgram_IsTakenOver()
    {
        var bytes = All(Content);
        System.IO.File.WriteAllBytes(File + ".incomplete", bytes[..300_001]);
        var source = new PieceObject(Content);
        await FetchAsync(source);
        AssertWhole();
        Assert.Equal(Content.Length - 300_001, source.Given);
        Assert.Equal(300_001, _tally.Now.Bytes - _tally.Now.FetchedBytes);
    }

    [Fact]
    public async Task Fetch_WrongBeginning_BeginsAgainOnce()
    {
        System.IO.File.WriteAllBytes(File + ".incomplete", new byte[300_001]);
        var source = new PieceObject(Content);
        await FetchAsync(source);
        AssertWhole();
        Assert.Equal(Content.Length - 300_001 + Content.Length, source.Given);
        Assert.Equal(Content.Length, _tally.Now.Bytes);
    }

    [Fact]
    public async Task Fetch_WrongContent_IsCorruptAndNothingIsKept()
    {
        var source = new PieceObject(Content);
        var exception = await Assert.ThrowsAsync<RemoteException>(() => FetchAsync(source, new string('0', 64)));
        Assert.Equal(RemoteFailure.Corrupt, exception.Failure);
        Assert.Contains(Hash, exception.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
        Assert.Equal(Content.Length, source.Given);
    }

    [Fact]
    public async Task Fetch_NameThatIsNoHash_IsOnlyMeasured()
    {
        await FetchAsync(new PieceObject(Content), "multipart-12");
        AssertWhole();
    }

    [Fact]
    public async Task Fetch_BytesWithoutTheirJournal_DoNotCount()
    {
        using var cancellation = new CancellationTokenSource();
        var first = new PieceObject(Content) { Before = (given, _) => given > 400_000 ? cancellation.CancelAsync() : Task.CompletedTask };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => FetchAsync(first, cancellationToken: cancellation.Token));
        System.IO.File.Delete(File + PartialFile.JournalEnding);
        var second = new PieceObject(Content);
        await FetchAsync(second);
        AssertWhole();
        Assert.Equal(Content.Length, second.Given);
    }

    [Fact]
    public async Task Fetch_ServerWithoutRanges_ReadsFromTheBeginning()
    {
        var source = new PieceObject(Content) { TakesRanges = false, Cut = request => request == 1 ? 500_000 : null };
        await FetchAsync(source);
        AssertWhole();
        Assert.Equal([(0, Content.Length), (0, Content.Length)], source.Asked);
        Assert.Equal(Content.Length, _tally.Now.Bytes);
    }

    [Theory]
    [InlineData(2L << 30)]
    [InlineData(long.MaxValue - 9)]
    public void OpenJournal_RangesThatNobodyMakes_IsNone(long rangeBytes)
    {
        var path = _folder["x.journal"];
        DownloadJournal.Create(path, 10, 1 << 20, prefix: 5).Dispose();
        using (var written = DownloadJournal.TryOpen(path, 10, isChecked: true))
        {
            Assert.Equal(5, written!.Present);
        }

        var bytes = System.IO.File.ReadAllBytes(path);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(16), rangeBytes);
        System.IO.File.WriteAllBytes(path, bytes);
        Assert.Null(DownloadJournal.TryOpen(path, 10, isChecked: true));
    }

    [Fact]
    public void CheckRoom_MoreThanThereIs_SaysBothNumbers()
    {
        var engine = new DownloadEngine(new RemoteReading(RemoteOptions.Default, TimeProvider.System), TimeProvider.System);
        var exception = Assert.Throws<IOException>(() => engine.CheckRoom(_folder.Path, long.MaxValue));
        Assert.Matches($"9223372036854775807 bytes .*: [0-9]+ bytes are free", exception.Message);
    }

    [Fact]
    public async Task Report_ManyFiles_GrowsAndEndsComplete()
    {
        var progress = new RecordedDownload();
        var tally = new DownloadTally(progress, TimeProvider.System);
        for (var i = 0; i < 8; i++)
        {
            tally.Expect(10);
        }

        tally.Begin();

        await Parallel.ForAsync(0, 8, async (_, _) =>
        {
            await Task.Yield();
            tally.AddFetched(10);
            tally.AddFile();
        });
        Assert.Equal(new DownloadProgress(8, 8, 80, 80, 80), progress.Reports[^1]);
        Assert.All(progress.Reports.Zip(progress.Reports.Skip(1)), pair => Assert.True(pair.First.Bytes <= pair.Second.Bytes && pair.First.Files <= pair.Second.Files));
    }

    private static byte[] All(RemoteContent content) => content.Slice(0, (int)content.Length);

    private void AssertWhole()
    {
        Assert.Equal(All(Content), System.IO.File.ReadAllBytes(File));
        Assert.Equal([File], Directory.GetFileSystemEntries(_folder.Path));
    }

    private async Task FetchAsync(PieceObject source, string? name = null, RemoteOptions? options = null, CancellationToken cancellationToken = default)
    {
        using var reading = new RemoteReading(options ?? new RemoteOptions { RangeBytes = Range, Connections = 4 }, TimeProvider.System);
        var target = new DownloadTarget(File, File, name ?? Hash, File + ".incomplete");
        await new DownloadEngine(reading, TimeProvider.System).FetchAsync(source, target, _tally, cancellationToken);
    }
}
