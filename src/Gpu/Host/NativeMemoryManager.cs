using System.Buffers;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Shows native memory as <see cref="Memory{T}"/>, for asynchronous reads. Keeps its owner from being collected; does
/// not keep the owner from being freed, which is the caller's business.
/// </summary>
internal sealed unsafe class NativeMemoryManager(byte* pointer, int length, object owner) : MemoryManager<byte>
{
    public override Span<byte> GetSpan() => new(pointer, length);

    public override MemoryHandle Pin(int elementIndex = 0)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)length, nameof(elementIndex));
        return new MemoryHandle(pointer + elementIndex);
    }

    public override void Unpin() => GC.KeepAlive(owner);

    protected override void Dispose(bool disposing)
    {
    }
}
