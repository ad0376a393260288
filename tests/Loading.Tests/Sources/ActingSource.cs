using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Does something at an exact read, counted from the time it is armed, so that opening is not counted.</summary>
/// <param name="inner">Where the bytes come from.</param>
public sealed class ActingSource(IByteSource inner) : SourceDouble(inner)
{
    private Action? _action;
    private int _atRead;
    private int _reads;

    /// <summary>How many reads came since it was armed.</summary>
    public int Reads => Volatile.Read(ref _reads);

    /// <summary>How many reads came after the one that acted.</summary>
    public int ReadsAfterwards => Math.Max(0, Reads - _atRead);

    /// <summary>Sets what is done at which read, counted from 1.</summary>
    public void Arm(int atRead, Action action) => (_atRead, _action, _reads) = (atRead, action, 0);

    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        if (Interlocked.Increment(ref _reads) == _atRead)
        {
            _action?.Invoke();
        }

        return await Inner.ReadAsync(offset, destination, cancellationToken);
    }
}
