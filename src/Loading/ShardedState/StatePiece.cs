using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>A piece of a tensor in host memory, which is hashed twice and written. Safe for the three threads that do so.</summary>
/// <param name="Memory">Where it is; stays until all have let go.</param>
/// <param name="Offset">Its first byte there.</param>
/// <param name="Length">Its bytes.</param>
/// <param name="IsLast">Whether its tensor ends with it.</param>
/// <param name="Freed">Called once, when all have let go.</param>
internal sealed record StatePiece(HostMemory Memory, long Offset, int Length, bool IsLast, Action Freed)
{
    private int _users = 3;

    /// <summary>The bytes.</summary>
    public ReadOnlySpan<byte> Bytes => Memory.AsReadOnlySpan(Offset, Length);

    /// <summary>Ends one of the three uses.</summary>
    public void LetGo()
    {
        if (Interlocked.Decrement(ref _users) == 0)
        {
            Freed();
        }
    }
}
