namespace IlgpuLoader.Gpu;

/// <summary>
/// Writes down what is copied and filled on the meta device by the thread that made it, until it is disposed: how a weight loader's work becomes
/// known before a byte is read. The counterpart of the dispatch mode that counts copies into meta tensors in vLLM's reload.
/// </summary>
/// <remarks>
/// Recorders nest: the innermost one writes. The thread that makes one disposes it. What a recorder has written stays valid while the tensors'
/// memories are not freed.
/// </remarks>
public sealed class MetaRecorder : IDisposable
{
    [ThreadStatic]
    private static MetaRecorder? _current;

    private readonly MetaRecorder? _outer;
    private readonly List<RecordedWrite> _writes = [];
    private bool _disposed;

    /// <summary>Begins to write.</summary>
    public MetaRecorder()
    {
        _outer = _current;
        _current = this;
    }

    /// <summary>What was asked for so far, in its order.</summary>
    public IReadOnlyList<RecordedWrite> Writes => _writes;

    /// <summary>How many elements would have been written, by copies and fills together.</summary>
    public long ElementCount { get; private set; }

    /// <summary>Ends the writing; the recorder around this one goes on.</summary>
    /// <exception cref="InvalidOperationException">Another thread disposes it, or a recorder made later is still writing.</exception>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        if (!ReferenceEquals(_current, this))
        {
            throw new InvalidOperationException("Recorders end on their own thread, the last one first.");
        }

        _disposed = true;
        _current = _outer;
    }

    /// <summary>Whether anybody on this thread writes down.</summary>
    internal static bool IsWriting => _current is not null;

    internal static void Write(in RecordedWrite write)
    {
        if (_current is { } recorder)
        {
            recorder._writes.Add(write);
            recorder.ElementCount = checked(recorder.ElementCount + write.ElementCount);
        }
    }
}
