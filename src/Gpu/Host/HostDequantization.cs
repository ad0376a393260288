using System.Numerics;
using System.Runtime.InteropServices;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>Dequantisation on the host: rows or tiles of outputs on several threads.</summary>
/// <remarks>Everything it is given was checked by <see cref="QuantizedView.Checked"/>.</remarks>
internal static unsafe class HostDequantization
{
    // Below, starting threads takes longer than the work.
    private const long ParallelElements = 1L << 18;

    // Values that are scaled at a time: they stay in the first-level cache. A multiple of every vector.
    private const int SegmentElements = 1024;

    // Segments shorter than this are decoded value by value.
    private const long LeastSegment = 16;

    // Outputs of a GPTQ tile: 64 bytes of each row of words, a cache line.
    private const int TileOutputs = 16;

    /// <summary>Dequantises a matrix.</summary>
    public static void Run(in QuantizedView source, in StridedView destination)
    {
        if (destination.Shape.ElementCount == 0)
        {
            return;
        }

        switch (source.Scheme)
        {
            case BlockScaledScheme scheme:
                RunBlocks(scheme, source, destination, destination.Shape[1] >= LeastSegment && scheme.BlockColumns >= LeastSegment);
                break;
            default:
                RunGptq(SchemeBodies.Of((GptqScheme)source.Scheme, source), source, destination);
                break;
        }
    }

    /// <summary>A matrix of scaled blocks, with the codecs' vectors or with the scalar body.</summary>
    internal static void RunBlocks(BlockScaledScheme scheme, in QuantizedView source, in StridedView destination, bool inVectors)
    {
        var body = SchemeBodies.Of(scheme, source);
        var rows = new ScaledRows(
            body,
            Codecs.Of(source.Payload.DType),
            Address(source.Payload),
            Address(source.Scales),
            source.ZeroPoints is { } zeros ? Address(zeros) : 0,
            Address(destination),
            destination.DType,
            (int)Math.Min(scheme.BlockColumns, int.MaxValue));
        ForEach(destination.Shape[0], destination.Shape.ElementCount, inVectors ? rows.DecodeSegments : rows.DecodeScalar);
    }

    private static void RunGptq(GptqBody body, in QuantizedView source, in StridedView destination)
    {
        var words = new PointerReader((byte*)Address(source.Payload));
        var scales = new PointerReader((byte*)Address(source.Scales));
        var zeros = new PointerReader((byte*)Address(source.ZeroPoints!.Value));
        var groups = new PointerReader(source.GroupIndices is { } indices ? (byte*)Address(indices) : null);
        var (outputs, count) = (destination.Shape[0], (int)source.Payload.Shape[0]);
        var (to, target) = (Address(destination), destination.DType);
        ForEach((outputs + TileOutputs - 1) / TileOutputs, destination.Shape.ElementCount, tile =>
        {
            switch (target)
            {
                case DType.F32:
                    DecodeTile(new F32PointerSink((byte*)to));
                    break;
                case DType.F16:
                    DecodeTile(new F16PointerSink((byte*)to));
                    break;
                default:
                    DecodeTile(new BF16PointerSink((byte*)to));
                    break;
            }

            void DecodeTile<TSink>(TSink sink)
                where TSink : struct, IValueSink
            {
                var first = tile * TileOutputs;
                var last = Math.Min(first + TileOutputs, outputs);
                for (var word = 0; word < count; word++)
                {
                    for (var output = first; output < last; output++)
                    {
                        body.DecodeWord(words, scales, zeros, groups, sink, (int)output, word, ((output * count) + word) << body.WordShift);
                    }
                }
            }
        });
    }

    private static nint Address(in StridedView view) => (nint)((HostMemory)view.Memory).Address + (nint)view.ByteOffset;

    private static void ForEach(long count, long elements, Action<long> action)
    {
        if (elements >= ParallelElements)
        {
            Parallel.For(0, count, action);
            return;
        }

        for (long i = 0; i < count; i++)
        {
            action(i);
        }
    }

    private sealed record ScaledRows(
        BlockScaledBody Body, Codec Codec, nint Payload, nint Scales, nint Zeros, nint Destination, DType Target, int BlockColumns)
    {
        public void DecodeSegments(long row)
        {
            var (scales, zeros) = (new PointerReader((byte*)Scales), new PointerReader((byte*)Zeros));
            var source = (byte*)Payload + (row * Body.RowBytes);
            var size = Codec.DType.BlockSize;
            var blockRow = Body.BlockRows.Divide((int)row);
            Span<float> values = stackalloc float[SegmentElements];
            for (var column = 0; column < Body.Columns;)
            {
                var block = Body.BlockColumns.Divide(column);
                var end = Math.Min(Body.Columns, Math.Min((block + 1L) * BlockColumns, (long)column + SegmentElements));
                var segment = values[..(int)(end - column)];
                Codec.Decode(new ReadOnlySpan<byte>(source + (column * (long)size), segment.Length * size), MemoryMarshal.AsBytes(segment), DType.F32);
                Scale(segment, Body.ScaleOf(scales, blockRow, block), Body.ZeroOf(zeros, blockRow, block));
                var place = (byte*)Destination + (((row * Body.Columns) + column) * Target.BlockSize);
                Codecs.Of(DType.F32).Decode(MemoryMarshal.AsBytes(segment), new Span<byte>(place, segment.Length * Target.BlockSize), Target);
                column = (int)end;
            }
        }

        public void DecodeScalar(long row)
        {
            switch (Codec.DType)
            {
                case DType.F8_E4M3:
                    DecodeScalar<Float8Element<F8E4M3>>((int)row);
                    break;
                case DType.F8_E5M2:
                    DecodeScalar<Float8Element<F8E5M2>>((int)row);
                    break;
                case DType.F8_E4M3FNUZ:
                    DecodeScalar<Float8Element<F8E4M3FNUZ>>((int)row);
                    break;
                case DType.F8_E5M2FNUZ:
                    DecodeScalar<Float8Element<F8E5M2FNUZ>>((int)row);
                    break;
                case DType.I8:
                    DecodeScalar<I8Element>((int)row);
                    break;
                case DType.BF16:
                    DecodeScalar<BF16Element>((int)row);
                    break;
                case DType.F16:
                    DecodeScalar<F16Element>((int)row);
                    break;
                default:
                    DecodeScalar<F32Element>((int)row);
                    break;
            }
        }

        private void DecodeScalar<TElement>(int row)
            where TElement : struct, IElementDecoder
        {
            switch (Target)
            {
                case DType.F32:
                    DecodeScalar<TElement, F32PointerSink>(row, new F32PointerSink((byte*)Destination));
                    break;
                case DType.F16:
                    DecodeScalar<TElement, F16PointerSink>(row, new F16PointerSink((byte*)Destination));
                    break;
                case DType.BF16:
                    DecodeScalar<TElement, BF16PointerSink>(row, new BF16PointerSink((byte*)Destination));
                    break;
                default:
                    DecodeScalar<TElement, Float8PointerSink<F8E4M3>>(row, new Float8PointerSink<F8E4M3>((byte*)Destination));
                    break;
            }
        }

        private void DecodeScalar<TElement, TSink>(int row, TSink sink)
            where TElement : struct, IElementDecoder
            where TSink : struct, IValueSink
        {
            var (payload, scales, zeros) = (new PointerReader((byte*)Payload), new PointerReader((byte*)Scales), new PointerReader((byte*)Zeros));
            for (long column = 0; column < Body.Columns; column += 4)
            {
                Body.DecodeFour<TElement, PointerReader, TSink>(payload, scales, zeros, sink, row, (int)column, ((long)row * Body.Columns) + column, 1);
            }
        }

        private static void Scale(Span<float> values, int scaleBits, int zero)
        {
            var bits = MemoryMarshal.Cast<float, int>(values);
            var (scale, offset) = (new Vector<float>(BitConverter.Int32BitsToSingle(scaleBits)), new Vector<float>(zero));
            var done = 0;
            for (; done + Vector<float>.Count <= values.Length; done += Vector<float>.Count)
            {
                var product = (new Vector<float>(values[done..]) - offset) * scale;
                if (Vector.EqualsAll(product, product))
                {
                    product.CopyTo(values[done..]);
                    continue;
                }

                // Which NaN comes out is not for the processor to say.
                ScaleEach(bits.Slice(done, Vector<float>.Count), scaleBits, zero);
            }

            ScaleEach(bits[done..], scaleBits, zero);
        }

        private static void ScaleEach(Span<int> bits, int scale, int zero)
        {
            foreach (ref var value in bits)
            {
                value = ScaledValue.Of(value, scale, zero);
            }
        }
    }
}
