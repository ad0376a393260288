using IlgpuLoader.Formats;
using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Loading.Tests;

/// <summary>The machine's calls up to one, before which the process dies: neither that nor any later one is made, those that would clean up among them.</summary>
/// <param name="last">How many calls are made.</param>
internal sealed class MortalCalls(int last) : FileSystemCalls
{
    private int _calls;

    /// <summary>Whether there was a call that was not made.</summary>
    public bool HasDied { get; private set; }

    public override SafeFileHandle? TryOpenUnnamed(string folder) => Live(() => base.TryOpenUnnamed(folder));

    public override void Reserve(SafeFileHandle file, string path, long length) => Live(() => base.Reserve(file, path, length));

    public override LinkOutcome Link(SafeFileHandle file, string path) => Live(() => base.Link(file, path));

    public override LinkOutcome MoveNewFile(string from, string to) => Live(() => base.MoveNewFile(from, to));

    public override void MoveFile(string from, string to) => Live(() => base.MoveFile(from, to));

    public override void MakeLink(string path, string target) => Live(() => base.MakeLink(path, target));

    public override void DeleteFile(string path) => Live(() => base.DeleteFile(path));

    // The process dies and not the machine: nothing has to be on the disk, which would take most of the time.
    public override void FlushFile(SafeFileHandle file) => Live(() => { });

    public override void FlushFolder(string path) => Live(() => { });

    private void Live(Action call) => Live(() =>
    {
        call();
        return true;
    });

    private T Live<T>(Func<T> call)
    {
        HasDied |= ++_calls > last;
        return HasDied ? throw new DeathException() : call();
    }

    /// <summary>Nothing that any code expects.</summary>
    public sealed class DeathException : Exception;
}
