using IlgpuLoader.TestKit;
using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Formats.Tests;

/// <summary>The machine's calls, at one of which the process kills itself: without a chance to clean up, and not a moment later.</summary>
/// <param name="moment">Twice the number of the call, counted from 0, before which it ends; one more for right after it. Negative for never.</param>
/// <param name="refuseExchange">Whether names cannot be exchanged.</param>
internal sealed class KillingCalls(int moment, bool refuseExchange = false) : FileSystemCalls
{
    private int _moments;

    /// <summary>How many moments there were so far.</summary>
    public int Moments => _moments;

    public override SafeFileHandle? TryOpenUnnamed(string folder) => At(() => base.TryOpenUnnamed(folder));

    public override void Reserve(SafeFileHandle file, string path, long length) => At(() => base.Reserve(file, path, length));

    public override LinkOutcome Link(SafeFileHandle file, string path) => At(() => base.Link(file, path));

    public override void MoveFile(string from, string to) => At(() => base.MoveFile(from, to));

    public override LinkOutcome MoveNewFile(string from, string to) => At(() => base.MoveNewFile(from, to));

    public override void MoveFolder(string from, string to) => At(() => base.MoveFolder(from, to));

    public override bool TryExchange(string one, string other) => At(() => !refuseExchange && base.TryExchange(one, other));

    public override void FlushFile(SafeFileHandle file) => At(() => base.FlushFile(file));

    public override void FlushFolder(string path) => At(() => base.FlushFolder(path));

    public override SafeFileHandle? TryOpenFolder(string path) => At(() => base.TryOpenFolder(path));

    public override LockOutcome Lock(SafeFileHandle handle, bool exclusive) => At(() => base.Lock(handle, exclusive));

    public override void DeleteFile(string path) => At(() => base.DeleteFile(path));

    // One by one, as the system does it: each file is a moment.
    public override void DeleteFolder(string path)
    {
        foreach (var file in Directory.EnumerateFiles(path).Order(StringComparer.Ordinal).ToList())
        {
            At(() => File.Delete(file));
        }

        At(() => base.DeleteFolder(path));
    }

    private void At(Action call) => _ = At(() =>
    {
        call();
        return true;
    });

    private T At<T>(Func<T> call)
    {
        Pass();
        var result = call();
        Pass();
        return result;
    }

    private void Pass()
    {
        if (Interlocked.Increment(ref _moments) - 1 == moment)
        {
            OwnProgram.Kill();
        }
    }
}
