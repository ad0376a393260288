using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class CheckpointWatcherTests : IDisposable
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly string Hash = new('0', 64);
    private readonly TemporaryFolder _root = new();
    private readonly ManualTime _time = new();
    private readonly RecordedWarnings _log = new();
    private readonly string _folder;

    public CheckpointWatcherTests()
    {
        _folder = _root["model"];
        Write("model.safetensors", 1);
    }

    public void Dispose() => _root.Dispose();

    [Fact]
    public async Task Change_LeftAloneForTheDebounce_IsGivenOnce()
    {
        await using var watch = Watch();
        await watch.StayAsync(3);
        Write("model.safetensors", 2);
        await watch.StayAsync(1);

        await watch.ChangeAsync();
        Assert.Equal(CheckpointFingerprint.Of(_folder), watch.Last);
        await watch.StayAsync(3);
    }

    [Fact]
    public async Task Change_WhileFilesGoOnChanging_Waits()
    {
        await using var watch = Watch(new CheckpointWatchOptions { Debounce = 2 * Second });
        for (var tensors = 2; tensors < 7; tensors++)
        {
            Write("model.safetensors", tensors);
            await watch.StayAsync(2);
        }

        await watch.ChangeAsync();
    }

    [Fact]
    public async Task Change_ThatIsTakenBack_IsNone()
    {
        await using var watch = Watch();
        var time = File.GetLastWriteTimeUtc(Path.Combine(_folder, "model.safetensors"));
        File.SetLastWriteTimeUtc(Path.Combine(_folder, "model.safetensors"), time.AddSeconds(1));
        await watch.StayAsync(1);
        File.SetLastWriteTimeUtc(Path.Combine(_folder, "model.safetensors"), time);

        await watch.StayAsync(3);
    }

    [Fact]
    public async Task Change_WithoutDebounce_IsGivenAtTheFirstLook()
    {
        await using var watch = Watch(new CheckpointWatchOptions { Debounce = TimeSpan.Zero });
        Write("model.safetensors", 2);

        await watch.ChangeAsync();
    }

    [Fact]
    public async Task HalfWrittenFile_IsLookedAtAgainUntilItIsWhole()
    {
        await using var watch = Watch();
        var whole = Content(3);
        _root.Write("model/model.safetensors", whole.AsSpan(0, whole.Length - 1));
        await watch.StayAsync(5);
        Assert.Contains(_log.Texts, text => text.Contains("not complete", StringComparison.Ordinal));
        Assert.Equal(_log.Texts.Distinct(), _log.Texts);

        _root.Write("model/model.safetensors", whole);
        await watch.StayAsync(1);
        await watch.ChangeAsync();
    }

    [Fact]
    public async Task Index_WaitsForEveryFileThatItLists()
    {
        await using var watch = Watch();
        _root.Write("model/model.safetensors.index.json", """{"weight_map": {"t0": "model-00001-of-00002.safetensors", "u0": "model-00002-of-00002.safetensors"}}""");
        Write("model-00001-of-00002.safetensors", 1);
        await watch.StayAsync(4);
        Write("model-00002-of-00002.safetensors", 1, "u");
        await watch.StayAsync(1);

        await watch.ChangeAsync();
    }

    [Fact]
    public async Task RankManifests_WaitForEveryRankAndEveryFileAtItsSize()
    {
        await using var watch = Watch();
        File.Delete(Path.Combine(_folder, "model.safetensors"));
        var bytes = Content(1);
        Write("model-rank-0-part-0.safetensors", 1);
        WriteManifest(0, bytes.Length);
        await watch.StayAsync(3);
        WriteManifest(1, bytes.Length);
        await watch.StayAsync(3);
        _root.Write("model/model-rank-1-part-0.safetensors", bytes.AsSpan(0, 20));
        await watch.StayAsync(3);
        Write("model-rank-1-part-0.safetensors", 1);
        await watch.StayAsync(1);

        await watch.ChangeAsync();
    }

    [Fact]
    public async Task Folder_ExchangedByARename_IsSeenThoughItWasGoneForAMoment()
    {
        await using var watch = Watch();
        Directory.Move(_folder, _root["aside"]);
        await watch.StayAsync(3);
        Directory.Move(_root["aside"], _folder);
        await watch.StayAsync(3);

        Directory.Move(_folder, _root["aside"]);
        Write("model.safetensors", 2);
        await watch.StayAsync(1);
        await watch.ChangeAsync();
    }

    [Fact]
    public async Task Folder_EmptyForAMoment_IsLookedAtAgain()
    {
        await using var watch = Watch();
        File.Delete(Path.Combine(_folder, "model.safetensors"));
        await watch.StayAsync(3);
        Write("model.safetensors", 2);
        await watch.StayAsync(1);

        await watch.ChangeAsync();
    }

    [Fact]
    public async Task OtherFiles_AreNoChange()
    {
        await using var watch = Watch();
        _root.Write("model/tokenizer.json", "{}");
        _root.Write("model/README.md", "words");
        _root.Write("model/.model.safetensors.tmp", Content(4));

        await watch.StayAsync(3);
    }

    [Fact]
    public async Task Cancelled_EndsTheWatching()
    {
        using var cancellation = new CancellationTokenSource();
        await using var changes = new CheckpointWatcher(_folder, HotModelOptions.Default, CheckpointWatchOptions.Default, _time)
            .ChangesAsync(() => null, cancellation.Token).GetAsyncEnumerator(cancellation.Token);
        var next = changes.MoveNextAsync().AsTask();
        await _time.WaitForTimersAsync();
        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => next);
    }

    [Fact]
    public void Fingerprint_NamesSizesAndTimesOfWriting_TellFoldersApart()
    {
        var path = Path.Combine(_folder, "model.safetensors");
        var before = CheckpointFingerprint.Of(_folder);
        Assert.Equal(before, CheckpointFingerprint.Of(_folder));
        Assert.Equal(before!.GetHashCode(), CheckpointFingerprint.Of(_folder)!.GetHashCode());

        File.SetLastWriteTimeUtc(path, File.GetLastWriteTimeUtc(path).AddSeconds(1));
        var touched = CheckpointFingerprint.Of(_folder);
        Assert.NotEqual(before, touched);
        var time = File.GetLastWriteTimeUtc(path);
        Write("model.safetensors", 2);
        File.SetLastWriteTimeUtc(path, time);
        var longer = CheckpointFingerprint.Of(_folder);
        Assert.NotEqual(touched, longer);
        File.Move(path, Path.Combine(_folder, "other.safetensors"));
        Assert.NotEqual(longer, CheckpointFingerprint.Of(_folder));
        Assert.Null(CheckpointFingerprint.Of(_root["nowhere"]));
    }

    [LinuxFact]
    public void Fingerprint_Links_CountAsWhatTheyPointTo()
    {
        var (first, second) = (_root.Write("blobs/a", Content(1)), _root.Write("blobs/b", Content(1)));
        File.SetLastWriteTimeUtc(second, File.GetLastWriteTimeUtc(first));
        var link = Path.Combine(_folder, "linked.safetensors");
        File.CreateSymbolicLink(link, first);
        var before = CheckpointFingerprint.Of(_folder);
        _root.Write("blobs/a", Content(2));
        var written = CheckpointFingerprint.Of(_folder);
        Assert.NotEqual(before, written);

        _root.Write("blobs/a", Content(1));
        File.SetLastWriteTimeUtc(first, File.GetLastWriteTimeUtc(second));
        var toFirst = CheckpointFingerprint.Of(_folder);
        File.Delete(link);
        File.CreateSymbolicLink(link, second);
        Assert.NotEqual(toFirst, CheckpointFingerprint.Of(_folder));
    }

    [Fact]
    public void Options_TimesThatAreNone_AreRefused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new CheckpointWatchOptions { Interval = TimeSpan.Zero });
        Assert.Throws<ArgumentOutOfRangeException>(() => new CheckpointWatchOptions { Debounce = TimeSpan.FromTicks(-1) });
        Assert.Equal((Second, Second), (CheckpointWatchOptions.Default.Interval, CheckpointWatchOptions.Default.Debounce));
    }

    private static byte[] Content(int tensors, string prefix = "t")
    {
        var file = new SafetensorsBuilder();
        for (var i = 0; i < tensors; i++)
        {
            file.Add($"{prefix}{i}", "U8", [4], [1, 2, 3, 4]);
        }

        return file.ToBytes();
    }

    private void Write(string name, int tensors, string prefix = "t") => _root.Write($"model/{name}", Content(tensors, prefix));

    private void WriteManifest(int rank, long length) =>
        _root.Write(
            $"model/rank-{rank}.json",
            new RankManifest(
                "save", rank, 2, "model-rank-{rank}-part-{part}.safetensors", [new ManifestFile($"model-rank-{rank}-part-0.safetensors", length, Hash)], new TensorManifest([])).ToBytes());

    private WatchOfTest Watch(CheckpointWatchOptions? options = null)
    {
        options = (options ?? CheckpointWatchOptions.Default) with { Warnings = new WarningLog(_log) };
        return new WatchOfTest(new CheckpointWatcher(_folder, HotModelOptions.Default, options, _time), CheckpointFingerprint.Of(_folder), _time);
    }

    /// <summary>Looks at the folder when the test says so.</summary>
    private sealed class WatchOfTest : IAsyncDisposable
    {
        private readonly CancellationTokenSource _end = new();
        private readonly IAsyncEnumerator<CheckpointFingerprint> _changes;
        private readonly ManualTime _time;
        private Task<bool> _next;

        public WatchOfTest(CheckpointWatcher watcher, CheckpointFingerprint? loaded, ManualTime time)
        {
            (Last, _time) = (loaded, time);
            _changes = watcher.ChangesAsync(() => Last, _end.Token).GetAsyncEnumerator(_end.Token);
            _next = _changes.MoveNextAsync().AsTask();
        }

        public CheckpointFingerprint? Last { get; private set; }

        /// <summary>Looks some times, and nothing is given.</summary>
        public async Task StayAsync(int looks)
        {
            for (var i = 0; i < looks; i++)
            {
                await _time.StepAsync(Second);
                Assert.False(_next.IsCompleted);
            }
        }

        /// <summary>Looks once, and a change is given.</summary>
        public async Task ChangeAsync()
        {
            await _time.WaitForTimersAsync();
            _time.Advance(Second);
            Assert.True(await _next.WaitAsync(TimeSpan.FromSeconds(30)));
            Last = _changes.Current;
            _next = _changes.MoveNextAsync().AsTask();
        }

        public async ValueTask DisposeAsync()
        {
            await _end.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _next);
            await _changes.DisposeAsync();
            _end.Dispose();
        }
    }
}
