using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class HotModelWatchTests : IAsyncLifetime, IAsyncDisposable
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private readonly TemporaryFolder _folder = new();
    private readonly HotModelBed _bed = new();

    public HotModelWatchTests() => Write(1);

    private HotModel Model => _bed.Model;

    public Task InitializeAsync() => Task.CompletedTask;

    // xunit 2 knows this one alone.
    Task IAsyncLifetime.DisposeAsync() => DisposeAsync().AsTask();

    public async ValueTask DisposeAsync()
    {
        await _bed.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Watch_ChangedFolder_ReloadsAndSaysHowItWent()
    {
        await using var reloads = Model.WatchAsync(_folder.Path).GetAsyncEnumerator();
        var next = reloads.MoveNextAsync().AsTask();
        await StepAsync(3);
        Assert.Equal(0, _bed.Begun);
        Write(2);
        await StepAsync(1);
        await LastStepAsync(next);

        Assert.True(reloads.Current.IsWhole);
        Assert.Equal((_folder.Path, 2), (reloads.Current.Folder, reloads.Current.Version));
        next = reloads.MoveNextAsync().AsTask();
        await StepAsync(3);
        Assert.Equal(1, _bed.Begun);
        await EndAsync(next);
    }

    [Fact]
    public async Task Watch_ReloadThatFails_IsReportedAndTriedAgainAtTheNextChangeOnly()
    {
        _bed.Outcomes[HotModelBed.Second] = LayerOutcome.Torn;
        await using var reloads = Model.WatchAsync(_folder.Path).GetAsyncEnumerator();
        var next = reloads.MoveNextAsync().AsTask();
        Write(2);
        await StepAsync(1);
        await LastStepAsync(next);
        Assert.IsType<ReloadFailedException>(reloads.Current.Failure);
        Assert.False(reloads.Current.IsWhole);
        Assert.Equal([HotModelBed.First], reloads.Current.Report!.NewLayers);
        Assert.Equal(2, reloads.Current.Version);

        next = reloads.MoveNextAsync().AsTask();
        await StepAsync(4);
        Assert.Equal(1, _bed.Begun);
        _bed.Outcomes.Clear();
        Write(3);
        await StepAsync(1);
        await LastStepAsync(next);
        Assert.True(reloads.Current.IsWhole);
    }

    [Theory]
    [InlineData(typeof(InvalidOperationException))]
    [InlineData(typeof(OverflowException))]
    [InlineData(typeof(OperationCanceledException))]
    public async Task Watch_AnyFailure_IsReportedAndTheWatchingGoesOn(Type type)
    {
        _bed.Writing = (_, _) => throw (Exception)Activator.CreateInstance(type)!;
        await using var reloads = Model.WatchAsync(_folder.Path).GetAsyncEnumerator();
        var next = reloads.MoveNextAsync().AsTask();
        Write(2);
        await StepAsync(1);
        await LastStepAsync(next);
        Assert.IsAssignableFrom(type, reloads.Current.Failure);

        next = reloads.MoveNextAsync().AsTask();
        await StepAsync(4);
        Assert.Equal(1, _bed.Begun);
        _bed.Writing = null;
        Write(3);
        await StepAsync(1);
        await LastStepAsync(next);
        Assert.True(reloads.Current.IsWhole);
    }

    [Fact]
    public async Task Watch_FolderThatWasReloadedByItsPath_IsNotLoadedOnceMore()
    {
        await using var reloads = Model.WatchAsync(_folder.Path).GetAsyncEnumerator();
        var next = reloads.MoveNextAsync().AsTask();
        Write(2);
        await StepAsync(1);
        Assert.True((await Model.ReloadAsync(_folder.Path + Path.DirectorySeparatorChar)).IsWhole);
        await StepAsync(3);

        Assert.Equal(1, _bed.Begun);
        await EndAsync(next);
    }

    [Fact]
    public async Task Watch_FolderChangedSinceItWasLoaded_IsReloadedAtOnce()
    {
        var loaded = CheckpointFingerprint.Of(_folder.Path);
        Write(2);
        await using var reloads = Model.WatchAsync(_folder.Path, new CheckpointWatchOptions { Loaded = loaded }).GetAsyncEnumerator();
        var next = reloads.MoveNextAsync().AsTask();
        await StepAsync(1);
        await LastStepAsync(next);

        Assert.True(reloads.Current.IsWhole);
    }

    [Fact]
    public async Task Watch_FolderThatIsNotThereYet_IsLoadedWhenItComes()
    {
        var later = _folder["later"];
        await using var reloads = Model.WatchAsync(later).GetAsyncEnumerator();
        var next = reloads.MoveNextAsync().AsTask();
        await StepAsync(3);
        _folder.Write("later/model.safetensors", SafetensorsBuilder.Tiny());
        await StepAsync(1);
        await LastStepAsync(next);

        Assert.True(reloads.Current.IsWhole);
    }

    [Fact]
    public async Task Watch_Cancelled_ThrowsAndModelDisposed_Ends()
    {
        using var cancellation = new CancellationTokenSource();
        await using var cancelled = Model.WatchAsync(_folder.Path, cancellationToken: cancellation.Token).GetAsyncEnumerator(CancellationToken.None);
        await using var ended = Model.WatchAsync(_folder.Path).GetAsyncEnumerator();
        var (first, second) = (cancelled.MoveNextAsync().AsTask(), ended.MoveNextAsync().AsTask());
        await _bed.Time.WaitForTimersAsync(2);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);

        await EndAsync(second);
    }

    [Fact]
    public async Task Watch_ModelDisposedWhileItReloads_CancelsTheReloadAndEnds()
    {
        var copying = new TaskCompletionSource();
        _bed.Writing = (_, token) =>
        {
            copying.TrySetResult();
            return Task.Delay(Timeout.Infinite, token);
        };
        await using var reloads = Model.WatchAsync(_folder.Path).GetAsyncEnumerator();
        var next = reloads.MoveNextAsync().AsTask();
        Write(2);
        await StepAsync(1);
        await _bed.Time.WaitForTimersAsync();
        _bed.Time.Advance(Second);
        await copying.Task;

        await EndAsync(next);
    }

    [Fact]
    public void Watch_OptionsWithAGate_AreRefusedAtTheCall() =>
        Assert.Throws<ArgumentException>("options", () => Model.WatchAsync(_folder.Path, reload: new ReloadOptions { Gate = new RefusingGate() }));

    [Fact]
    public async Task Reload_PathThatCannotBeOpened_ThrowsAndLetsTheNextIn()
    {
        await Assert.ThrowsAnyAsync<IOException>(() => Model.ReloadAsync(_folder["nowhere"]));

        Assert.True((await Model.ReloadAsync(_folder["model.safetensors"])).IsWhole);
    }

    private void Write(int tensors)
    {
        var file = new SafetensorsBuilder();
        for (var i = 0; i < tensors; i++)
        {
            file.Add($"t{i}", "U8", [1], [1]);
        }

        _folder.Write("model.safetensors", file.ToBytes());
    }

    private async Task StepAsync(int looks)
    {
        for (var i = 0; i < looks; i++)
        {
            await _bed.Time.StepAsync(Second);
        }
    }

    private async Task LastStepAsync(Task<bool> next)
    {
        await _bed.Time.WaitForTimersAsync();
        _bed.Time.Advance(Second);
        Assert.True(await next.WaitAsync(TimeSpan.FromSeconds(30)));
    }

    private async Task EndAsync(Task<bool> next)
    {
        await Model.DisposeAsync();
        Assert.False(await next.WaitAsync(TimeSpan.FromSeconds(30)));
    }

    private sealed class RefusingGate : ILayerGate
    {
        public ValueTask<IDisposable?> CloseAsync(ModelLayer layer, CancellationToken cancellationToken) => default;
    }
}
