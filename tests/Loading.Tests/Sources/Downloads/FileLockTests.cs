using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class FileLockTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Path => _folder["a/b.lock"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Take_Held_WaitsForItsEnd()
    {
        var first = await FileLock.TakeAsync(Path, FileLock.OfGroup, TimeProvider.System, default);
        Assert.Null(FileLock.TryTake(Path, FileLock.OfGroup));
        var second = FileLock.TakeAsync(Path, FileLock.OfGroup, TimeProvider.System, default);
        Assert.False(second.IsCompleted);
        first.Dispose();
        (await second).Dispose();
        Assert.True(File.Exists(Path));
    }

    [Fact]
    public async Task Take_Cancelled_Ends()
    {
        using var held = await FileLock.TakeAsync(Path, FileLock.OfGroup, TimeProvider.System, default);
        using var cancellation = new CancellationTokenSource();
        var waiting = FileLock.TakeAsync(Path, FileLock.OfGroup, TimeProvider.System, cancellation.Token);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
    }

    [LinuxFact]
    public async Task Take_FileThatWasRemoved_LocksTheOneThatIsThere()
    {
        var first = await FileLock.TakeAsync(Path, FileLock.OfAll, TimeProvider.System, default);
        File.Delete(Path);
        first.Dispose();
        using var second = await FileLock.TakeAsync(Path, FileLock.OfAll, TimeProvider.System, default);
        Assert.Null(FileLock.TryTake(Path, FileLock.OfAll));
    }

    [LinuxFact]
    [System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
    public async Task Take_NewFile_HasItsModeWhateverTheUmask()
    {
        using var held = await FileLock.TakeAsync(Path, FileLock.OfAll, TimeProvider.System, default);
        Assert.Equal(FileLock.OfAll, File.GetUnixFileMode(Path));
    }

    [LinuxFact]
    public async Task Take_HeldByPython_IsHeld()
    {
        if (SystemPython.Missing is not null)
        {
            return;
        }

        using var held = await FileLock.TakeAsync(Path, FileLock.OfGroup, TimeProvider.System, default);
        // What filelock does on Unix.
        const string script = """
            import fcntl, os, sys
            fd = os.open(sys.argv[1], os.O_RDWR)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                print("free")
            except BlockingIOError:
                print("held")
            """;
        Assert.Equal("held", (await SystemPython.RunAsync(script, Path)).Trim());
        held.Dispose();
        Assert.Equal("free", (await SystemPython.RunAsync(script, Path)).Trim());
    }
}
