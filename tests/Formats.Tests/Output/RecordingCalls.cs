using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Formats.Tests;

/// <summary>The machine's calls with a record of their order; single ones can be refused, as other systems do.</summary>
internal sealed class RecordingCalls : FileSystemCalls
{
    private readonly List<string> _steps = [];

    /// <summary>What was called, with base names; hidden names are all written as <c>hidden</c>, ones set aside as <c>aside</c>,
    /// those of saves as <c>save</c>.</summary>
    public IReadOnlyList<string> Steps => _steps;

    /// <summary>Whether there are no files without names.</summary>
    public bool RefuseUnnamed { get; init; }

    /// <summary>Whether a file without a name cannot be given one.</summary>
    public bool RefuseLink { get; init; }

    /// <summary>The error that giving a file without a name its name ends with; 0 for none.</summary>
    public int LinkError { get; init; }

    /// <summary>Whether a file cannot be renamed without replacing.</summary>
    public bool RefuseMoveNew { get; init; }

    /// <summary>How many files may be held open; null for what the machine says.</summary>
    public int? SpareDescriptors { get; init; }

    /// <summary>Called before a file gets its name.</summary>
    public Action? BeforeName { get; set; }

    /// <summary>How often the disk was asked to begin.</summary>
    public int Writebacks { get; private set; }

    /// <summary>Whether names cannot be exchanged.</summary>
    public bool RefuseExchange { get; init; }

    /// <summary>Whether nothing can be locked.</summary>
    public bool RefuseLocks { get; init; }

    /// <summary>Whether folders cannot be opened, as elsewhere than on Linux.</summary>
    public bool RefuseFolders { get; init; }

    /// <summary>Whether no file can be removed.</summary>
    public bool FailDelete { get; set; }

    /// <summary>The number of the <see cref="MoveFolder"/> that fails, counted from 1; 0 for none.</summary>
    public int FailingFolderMove { get; init; }

    /// <summary>What the disk says it has free; null for what it has.</summary>
    public long? FreeBytes { get; init; }

    /// <summary>Whether forcing a file to disk fails.</summary>
    public bool FailFlush { get; init; }

    /// <summary>Called once, before the next lock.</summary>
    public Action? BeforeLock { get; set; }

    /// <summary>Whether waiting takes no time.</summary>
    public bool WaitsAtOnce { get; init; }

    /// <summary>How long it was waited for others, all times together.</summary>
    public TimeSpan Waited { get; private set; }

    public override Task WaitAsync(TimeSpan time, CancellationToken cancellationToken)
    {
        Waited += time;
        return WaitsAtOnce ? Task.CompletedTask : base.WaitAsync(time, cancellationToken);
    }

    public override SafeFileHandle? TryOpenUnnamed(string folder)
    {
        _steps.Add("open unnamed");
        return RefuseUnnamed ? null : base.TryOpenUnnamed(folder);
    }

    public override long? CountFreeBytes(string folder) => FreeBytes ?? base.CountFreeBytes(folder);

    public override int CountSpareDescriptors() => SpareDescriptors ?? base.CountSpareDescriptors();

    public override LinkOutcome Link(SafeFileHandle file, string path)
    {
        BeforeName?.Invoke();
        if (LinkError != 0)
        {
            _steps.Add($"link {Shown(path)}: failed");
            throw SystemError.ToException(LinkError);
        }

        var outcome = RefuseLink ? LinkOutcome.Refused : base.Link(file, path);
        _steps.Add($"link {Shown(path)}: {outcome}");
        return outcome;
    }

    public override void MoveFile(string from, string to)
    {
        _steps.Add($"move {Shown(from)} {Shown(to)}");
        base.MoveFile(from, to);
    }

    public override LinkOutcome MoveNewFile(string from, string to)
    {
        BeforeName?.Invoke();
        var outcome = RefuseMoveNew ? LinkOutcome.Refused : base.MoveNewFile(from, to);
        _steps.Add($"move new {Shown(from)} {Shown(to)}: {outcome}");
        return outcome;
    }

    public override void MoveFolder(string from, string to)
    {
        _steps.Add($"move {Shown(from)} {Shown(to)}");
        if (_steps.Count(step => step.StartsWith("move", StringComparison.Ordinal)) == FailingFolderMove)
        {
            throw new IOException("The move failed.");
        }

        base.MoveFolder(from, to);
    }

    public override void DeleteFolder(string path)
    {
        _steps.Add($"delete {Shown(path)}");
        base.DeleteFolder(path);
    }

    public override void DeleteFile(string path)
    {
        _steps.Add($"delete {Shown(path)}");
        if (FailDelete)
        {
            throw new IOException("The deletion failed.");
        }

        base.DeleteFile(path);
    }

    public override SafeFileHandle? TryOpenFolder(string path) => RefuseFolders ? null : base.TryOpenFolder(path);

    public override bool TryExchange(string one, string other)
    {
        _steps.Add($"exchange {Shown(one)} {Shown(other)}");
        return !RefuseExchange && base.TryExchange(one, other);
    }

    public override void FlushFile(SafeFileHandle file)
    {
        _steps.Add("flush file");
        if (FailFlush)
        {
            throw new IOException("The disk failed.");
        }

        base.FlushFile(file);
    }

    public override void FlushFolder(string path)
    {
        _steps.Add($"flush folder {Shown(path)}");
        base.FlushFolder(path);
    }

    public override LockOutcome Lock(SafeFileHandle handle, bool exclusive)
    {
        var beforeLock = BeforeLock;
        BeforeLock = null;
        beforeLock?.Invoke();
        return RefuseLocks ? LockOutcome.Unavailable : base.Lock(handle, exclusive);
    }

    private static string Shown(string path)
    {
        var name = Path.GetFileName(path);
        return !name.StartsWith('.') ? name.Split('-')[0]
            : name.Contains(".save-", StringComparison.Ordinal) ? "save"
            : TemporaryName.IsAside(name) ? "aside"
            : "hidden";
    }

    public override void BeginWriteback(Microsoft.Win32.SafeHandles.SafeFileHandle file)
    {
        Writebacks++;
        base.BeginWriteback(file);
    }
}
