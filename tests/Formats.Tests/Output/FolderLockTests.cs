using System.Diagnostics;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Locks on folders: one holder at a time, in this process and others.</summary>
public sealed class FolderLockTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Take_Held_WaitsUntilItIsGivenBackAndLeavesNothing()
    {
        var first = await FolderLock.TakeAsync(_folder.Path);
        var second = FolderLock.TakeAsync(_folder.Path);
        Assert.False(second.IsCompleted);
        first.Dispose();
        (await second).Dispose();
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Take_ManyAtOnce_AreInsideOneByOne()
    {
        var (inside, most, turns) = (0, 0, 0);
        await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(async () =>
        {
            using var held = await FolderLock.TakeAsync(_folder.Path);
            most = Math.Max(most, Interlocked.Increment(ref inside));
            turns++;
            await Task.Yield();
            _ = Interlocked.Decrement(ref inside);
        })));
        Assert.Equal((1, 6), (most, turns));
    }

    [Fact]
    public async Task Take_CancelledWhileItWaits_EndsAndTakesNothing()
    {
        using var cancellation = new CancellationTokenSource();
        using (await FolderLock.TakeAsync(_folder.Path))
        {
            var waiting = FolderLock.TakeAsync(_folder.Path, cancellation.Token);
            await cancellation.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        }

        (await FolderLock.TakeAsync(_folder.Path)).Dispose();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => FolderLock.TakeAsync(_folder.Path, cancellation.Token));
    }

    [Fact]
    public async Task Take_TwoFolders_AreTwoLocks()
    {
        using var one = await FolderLock.TakeAsync(_folder.Path);
        using var other = await FolderLock.TakeAsync(Directory.CreateDirectory(_folder["other"]).FullName);
        Assert.NotSame(one, other);
    }

    // flock, as other programs take it; a process that is killed gives nothing back itself.
    [PythonFact]
    public async Task Take_HeldByAProcessThatIsKilled_IsHadAfterItsEnd()
    {
        const string script = "import fcntl, os, sys, time; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX); print('held', flush=True); time.sleep(600)";
        using var holder = Process.Start(new ProcessStartInfo(SystemPython.Path, ["-I", "-c", script, _folder.Path]) { RedirectStandardOutput = true, UseShellExecute = false })!;
        try
        {
            Assert.Equal("held", await holder.StandardOutput.ReadLineAsync());
            var waiting = FolderLock.TakeAsync(_folder.Path);
            Assert.False(waiting.IsCompleted);
            holder.Kill();
            (await waiting).Dispose();
        }
        finally
        {
            holder.Kill();
            await holder.WaitForExitAsync();
        }
    }
}
