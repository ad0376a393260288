using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>A codec that is its scalar body and nothing else.</summary>
/// <typeparam name="TDecoder">The body.</typeparam>
internal unsafe class UnitCodec<TDecoder>(DType dtype) : Codec(dtype)
    where TDecoder : struct, IUnitDecoder
{
    public sealed override TResult Accept<TResult>(IUnitVisitor<TResult> visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        return visitor.Visit<TDecoder>();
    }

    internal sealed override void DecodeUnits(byte* source, byte* destination, long count, DType target)
    {
        var reader = new PointerReader(source);
        switch (target)
        {
            case DType.F32:
                Run(reader, new F32PointerSink(destination), count);
                break;
            case DType.F16:
                Run(reader, new F16PointerSink(destination), count);
                break;
            case DType.BF16:
                Run(reader, new BF16PointerSink(destination), count);
                break;
            case DType.F64:
                Run(reader, new F64PointerSink(destination), count);
                break;
            case DType.F8_E4M3:
                Run(reader, new Float8PointerSink<F8E4M3>(destination), count);
                break;
            case DType.F8_E5M2:
                Run(reader, new Float8PointerSink<F8E5M2>(destination), count);
                break;
            case DType.F8_E4M3FNUZ:
                Run(reader, new Float8PointerSink<F8E4M3FNUZ>(destination), count);
                break;
            case DType.F8_E5M2FNUZ:
                Run(reader, new Float8PointerSink<F8E5M2FNUZ>(destination), count);
                break;
            default:
                throw new ArgumentException($"{target.Name} is not a type that values are decoded to.", nameof(target));
        }
    }

    private static void Run<TSink>(PointerReader reader, TSink sink, long count)
        where TSink : struct, IValueSink
    {
        // The table never moves, so a pointer to it needs no pin.
        var table = new PointerReader((byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(TDecoder.Table)));
        var units = Unit.Count(count);
        for (var unit = 0L; unit < units; unit++)
        {
            Unit.Decode<TDecoder, PointerReader, PointerReader, TSink>(reader, table, sink, unit, count);
        }
    }
}
