using System.Runtime.InteropServices;

namespace IlgpuLoader.Microbenchmarks;

/// <summary>Page-aligned memory that was written once, so that no page fault is measured.</summary>
internal sealed unsafe class TouchedMemory : IDisposable
{
    private readonly int _length;

    public TouchedMemory(long length)
    {
        _length = checked((int)length);
        Address = (byte*)NativeMemory.AlignedAlloc((nuint)length, 4096);
        Span.Fill(0x3C);
    }

    public byte* Address { get; }

    public Span<byte> Span => new(Address, _length);

    public void Dispose() => NativeMemory.AlignedFree(Address);
}
